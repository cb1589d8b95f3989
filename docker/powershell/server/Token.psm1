# Bearer tokens from a secret file. Several lines are several valid tokens: the overlap window of a rotation.

function Read-Tokens([hashtable] $Shared) {
    # The digests. Read at each use: a rotation is seen at once whatever the file system's clock does. Taken apart only when the text is another.
    # A file that is empty for a moment while it is overwritten in place keeps its last tokens, and all workers keep the same ones;
    # a file that is missing or can't be read allows nobody.
    try {
        $text = [IO.File]::ReadAllText($Shared.Settings.TokenFile)
        $known = $Shared.Tokens
        if ([string]::Equals($text, $known.Text)) { return $known.Digests }
        $digests = @(foreach ($line in $text.Split("`n")) { $line = $line.Trim(); if ($line) { , (Get-Digest $line) } })
        if (-not $digests) { return $known.Digests }
        # One value, so that no worker sees one half of it with another's half.
        $Shared.Tokens = @{ Text = $text; Digests = $digests }
        $digests
    } catch {
        $Shared.Tokens = @{ Text = $null; Digests = @() }
    }
}

function Get-Digest([string] $Text) { , [Security.Cryptography.SHA256]::HashData([Text.Encoding]::UTF8.GetBytes($Text)) }

function Test-Token([hashtable] $Shared, [Net.HttpListenerRequest] $Request) {
    <#
    .SYNOPSIS
        Whether `Authorization: Bearer` or x-api-key carries one of the file's tokens. All are compared, in constant time, by their
        digests: comparing the texts would tell their length.
    #>
    $header = "$($Request.Headers['Authorization'])"
    $given = if ($header -match '\A[Bb]earer +(\S+)\s*\z') { $Matches[1] } else { "$($Request.Headers['x-api-key'])" }
    if (-not $given) { return $false }
    $digest = Get-Digest $given
    $matched = $false
    foreach ($token in Read-Tokens $Shared) {
        $matched = [Security.Cryptography.CryptographicOperations]::FixedTimeEquals($token, $digest) -or $matched
    }
    $matched
}

function Get-TokenTrouble([string] $File) {
    <#
    .SYNOPSIS
        Why the token file allows nobody, in a sentence; nothing when it holds a token.
    #>
    try {
        if ([IO.File]::ReadAllText($File).Trim()) { return }
        'the token file is empty, so every call is refused'
    } catch {
        for ($cause = $_.Exception; $cause; $cause = $cause.InnerException) {
            if ($cause -is [UnauthorizedAccessException]) { return 'the token file may not be read by this user, so every call is refused' }
        }
        'there is no token file, so every call is refused'
    }
}

Export-ModuleMember -Function Test-Token, Get-TokenTrouble
