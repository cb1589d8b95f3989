# Bearer tokens from a secret file. Several lines are several valid tokens: the overlap window of a rotation.

function Read-Tokens([hashtable] $Shared) {
    # Read at each use: a rotation is seen at once whatever the file system's clock does, and it costs less than the comparison.
    # A file that is empty for a moment while it is overwritten in place keeps its last tokens, and all workers keep the same ones;
    # a missing file allows nobody.
    $path = $Shared.Settings.TokenFile
    if (-not [IO.File]::Exists($path)) { $Shared.Tokens = @(); return }
    $lines = @([IO.File]::ReadAllLines($path) | ForEach-Object Trim | Where-Object { $_ })
    if ($lines.Count -gt 0) { $Shared.Tokens = @($lines | ForEach-Object { , [Text.Encoding]::UTF8.GetBytes($_) }) }
}

function Test-Token([hashtable] $Shared, [Net.HttpListenerRequest] $Request) {
    <#
    .SYNOPSIS
        Whether `Authorization: Bearer` or x-api-key carries one of the file's tokens; all are compared, in constant time.
    #>
    Read-Tokens $Shared
    $header = "$($Request.Headers['Authorization'])"
    $given = if ($header -match '\A[Bb]earer +(\S+)\s*\z') { $Matches[1] } else { "$($Request.Headers['x-api-key'])" }
    if (-not $given) { return $false }
    $bytes = [Text.Encoding]::UTF8.GetBytes($given)
    $matched = $false
    foreach ($token in $Shared.Tokens) {
        $matched = [Security.Cryptography.CryptographicOperations]::FixedTimeEquals($token, $bytes) -or $matched
    }
    $matched
}

Export-ModuleMember -Function Test-Token
