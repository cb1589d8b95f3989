# Reading requests and writing answers on HttpListener, which bounds neither a body's size nor anybody's patience.

function Open-Listener([string] $Prefix) {
    <#
    .SYNOPSIS
        A started HttpListener; throws when it can't listen.
    .DESCRIPTION
        HttpEndPointListener accepts before its constructor is done: a connection that arrives in that moment meets a field that is still
        null, in Monitor.Enter, and the socket stays open until it is collected.
    #>
    for ($left = 5; ; $left--) {
        $listener = [Net.HttpListener]::new()
        $listener.Prefixes.Add($Prefix)
        try {
            $listener.Start()
            return $listener
        } catch {
            if ($left -le 1 -or $_.Exception.GetBaseException() -isnot [ArgumentNullException]) { throw }
        }
        $listener = $null
        [GC]::Collect()
        [GC]::WaitForPendingFinalizers()
    }
}

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

function Read-Body([hashtable] $Job, [int] $Most, [int] $Seconds, [Threading.CancellationToken] $Cut) {
    <#
    .SYNOPSIS
        Read the whole body: @{ Status = 200; Bytes = ... }, or Status 413 beyond $Most bytes, 408 when it doesn't arrive in time,
        400 when it breaks off, 503 when the service stops meanwhile.
    #>
    $request = $Job.Context.Request
    if ($request.ContentLength64 -gt $Most) { return @{ Status = 413 } }
    if (-not $request.HasEntityBody) { return @{ Status = 200; Bytes = [byte[]]::new(0) } }
    $known = $request.ContentLength64 -ge 0
    $buffer = [byte[]]::new($(if ($known) { $request.ContentLength64 } else { 16384 }))
    $body = [IO.MemoryStream]::new($buffer.Length)
    $deadline = [Environment]::TickCount64 + 1000 * $Seconds
    while (-not $known -or $body.Length -lt $request.ContentLength64) {
        $left = [int] [Math]::Max(1, $deadline - [Environment]::TickCount64)
        try {
            $read = $request.InputStream.ReadAsync($buffer, 0, $buffer.Length)
            if (-not $read.Wait($left, $Cut)) { return @{ Status = 408 } }
        } catch {
            return @{ Status = $(if ($Cut.IsCancellationRequested) { 503 } else { 400 }) }
        }
        if ($read.Result -eq 0) { break }
        $body.Write($buffer, 0, $read.Result)
        if ($body.Length -gt $Most) { return @{ Status = 413 } }
    }
    $Job.BodyRead = $true
    @{ Status = 200; Bytes = $body.ToArray() }
}

function Close-Later([Net.HttpListenerContext] $Context) {
    # A socket closed with unread bytes in it sends a reset, and the caller may never see the answer: what still comes is read for two
    # seconds. By the runtime's own threads: a caller that sends a byte now and then must hold nobody up.
    $response = $Context.Response
    $rest = $Context.Request.InputStream.CopyToAsync([IO.Stream]::Null, 65536)
    # A task of its own to close in: what it throws ends there, and not the process.
    $close = [Threading.Tasks.Task]::new([Delegate]::CreateDelegate([Action], $response, 'Abort'))
    $end = [Threading.Tasks.Task]::WhenAny($rest, [Threading.Tasks.Task]::Delay(2000))
    $end.GetAwaiter().OnCompleted([Delegate]::CreateDelegate([Action], $close, 'Start'))
}

function Set-Answered([hashtable] $Job) {
    <#
    .SYNOPSIS
        Count a request as answered, once; called before the caller can see the answer, so that the caller finds the count exact.
    #>
    if (-not $Job.Unanswered) { return }
    $null = $Job.Unanswered.Signal()
    $Job.Unanswered = $null
}

function Send-Answer([hashtable] $Job, [int] $Status, [byte[]] $Bytes, [string] $Type, [switch] $Last) {
    <#
    .SYNOPSIS
        Answer with bytes; -Last closes the connection, and so does a body that was not read to its end: before another request the
        listener would read on for as long as the caller likes.
    #>
    $response = $Job.Context.Response
    $Job.Status = $Status
    $unread = $Job.Context.Request.HasEntityBody -and -not $Job.BodyRead
    try {
        $response.StatusCode = $Status
        $response.ContentType = $Type
        $response.ContentLength64 = $Bytes.Length
        $response.Headers['X-Request-Id'] = $Job.Id
        $response.Headers['Cache-Control'] = 'no-store'
        $response.Headers['X-Content-Type-Options'] = 'nosniff'
        if ($Last -or $unread) { $response.KeepAlive = $false }
        Set-Answered $Job
        $written = $response.OutputStream.WriteAsync($Bytes, 0, $Bytes.Length)
        if (-not $written.Wait(10000)) { throw 'the caller does not read' }
        $Job.Answered = [Diagnostics.Stopwatch]::GetTimestamp()
        if ($unread) { Close-Later $Job.Context } else { $response.Close() }
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

Export-ModuleMember -Function Open-Listener, Get-RequestPath, Get-RequestId, Test-Framing, Read-Body, Set-Answered, Send-Answer, Send-Json, Send-Refusal
