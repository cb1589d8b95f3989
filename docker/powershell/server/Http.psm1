# Reading requests and writing answers on HttpListener, which bounds neither a body's size nor anybody's patience.

function Get-RequestPath([Net.HttpListenerRequest] $Request) {
    <#
    .SYNOPSIS
        The path of the request target as it was sent, without query and without an absolute form's host.
    #>
    $raw = "$($Request.RawUrl)".Split('?', 2)[0] -replace '^[A-Za-z][A-Za-z0-9+.-]*://[^/]*', ''
    if ($raw) { $raw } else { '/' }
}

function Get-RequestId([Net.HttpListenerRequest] $Request) {
    <#
    .SYNOPSIS
        The caller's X-Request-Id when it is safe to log and to send back, else a new one.
    #>
    $given = $Request.Headers['X-Request-Id']
    if ($given -cmatch '\A[A-Za-z0-9._-]{1,128}\z') { $given } else { [guid]::NewGuid().ToString('n') }
}

function Test-Framing([Net.HttpListenerRequest] $Request) {
    <#
    .SYNOPSIS
        Whether the body's end is stated once; Content-Length beside Transfer-Encoding is how requests are smuggled.
    #>
    -not ($null -ne $Request.Headers['Content-Length'] -and $null -ne $Request.Headers['Transfer-Encoding'])
}

function Read-Body([Net.HttpListenerRequest] $Request, [int] $Most, [int] $Seconds, [Threading.CancellationToken] $Cut) {
    <#
    .SYNOPSIS
        Read the whole body: @{ Status = 200; Bytes = ... }, or Status 413 beyond $Most bytes, 408 when it doesn't arrive in time,
        400 when it breaks off, 503 when the service stops meanwhile.
    #>
    if ($Request.ContentLength64 -gt $Most) { return @{ Status = 413 } }
    if (-not $Request.HasEntityBody) { return @{ Status = 200; Bytes = [byte[]]::new(0) } }
    $known = $Request.ContentLength64 -ge 0
    $buffer = [byte[]]::new($(if ($known) { $Request.ContentLength64 } else { 16384 }))
    $body = [IO.MemoryStream]::new($buffer.Length)
    $deadline = [Environment]::TickCount64 + 1000 * $Seconds
    while (-not $known -or $body.Length -lt $Request.ContentLength64) {
        $left = [int] [Math]::Max(1, $deadline - [Environment]::TickCount64)
        try {
            $read = $Request.InputStream.ReadAsync($buffer, 0, $buffer.Length)
            if (-not $read.Wait($left, $Cut)) { return @{ Status = 408 } }
        } catch {
            return @{ Status = $(if ($Cut.IsCancellationRequested) { 503 } else { 400 }) }
        }
        if ($read.Result -eq 0) { break }
        $body.Write($buffer, 0, $read.Result)
        if ($body.Length -gt $Most) { return @{ Status = 413 } }
    }
    @{ Status = 200; Bytes = $body.ToArray() }
}

function Clear-Body([Net.HttpListenerRequest] $Request) {
    # A socket closed with unread bytes in it sends a reset, and the caller may never see the answer: read on while bytes keep coming,
    # but not for long; a body that only half arrives costs 0.2 s.
    $buffer = [byte[]]::new(65536)
    $left = 32MB
    $deadline = [Environment]::TickCount64 + 2000
    while ($left -gt 0) {
        $wait = $deadline - [Environment]::TickCount64
        if ($wait -le 0) { return }
        $read = $Request.InputStream.ReadAsync($buffer, 0, $buffer.Length)
        if (-not $read.Wait([int] [Math]::Min($wait, 200)) -or $read.Result -eq 0) { return }
        $left -= $read.Result
    }
}

function Send-Answer([hashtable] $Job, [int] $Status, [byte[]] $Bytes, [string] $Type, [switch] $Last) {
    <#
    .SYNOPSIS
        Answer with bytes; -Last closes the connection, after the rest of a refused body was read for a moment.
    #>
    $response = $Job.Context.Response
    $Job.Status = $Status
    try {
        $response.StatusCode = $Status
        $response.ContentType = $Type
        $response.ContentLength64 = $Bytes.Length
        $response.Headers['X-Request-Id'] = $Job.Id
        $response.Headers['Cache-Control'] = 'no-store'
        $response.Headers['X-Content-Type-Options'] = 'nosniff'
        if ($Last) { $response.KeepAlive = $false }
        $written = $response.OutputStream.WriteAsync($Bytes, 0, $Bytes.Length)
        if (-not $written.Wait(10000)) { throw 'the caller does not read' }
        $Job.Answered = [Diagnostics.Stopwatch]::GetTimestamp()
        if ($Last -and $Job.Context.Request.HasEntityBody) { Clear-Body $Job.Context.Request }
        $response.Close()
    } catch {
        $Job.Aborted = "$($_.Exception.GetBaseException().Message)"
        try { $response.Abort() } catch { $null = $_ }
    }
}

function Send-Json([hashtable] $Job, [int] $Status, [object] $Value, [switch] $Last) {
    <#
    .SYNOPSIS
        Answer with a small plain object as JSON.
    #>
    $bytes = [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -InputObject $Value -Compress -Depth 8))
    Send-Answer $Job $Status $bytes 'application/json' -Last:$Last
}

function Send-Refusal([hashtable] $Job, [int] $Status, [string] $Code, [string] $Detail, [switch] $Last) {
    <#
    .SYNOPSIS
        Answer {"error": code, "detail": one sentence}.
    #>
    if ($Status -eq 401) { $Job.Context.Response.Headers['WWW-Authenticate'] = 'Bearer' }
    if ($Status -eq 503) { $Job.Context.Response.Headers['Retry-After'] = '1' }
    Send-Json $Job $Status ([ordered]@{ error = $Code; detail = $Detail }) -Last:$Last
}

Export-ModuleMember -Function Get-RequestPath, Get-RequestId, Test-Framing, Read-Body, Send-Answer, Send-Json, Send-Refusal
