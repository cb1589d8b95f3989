# One shape of server on HttpListener with one handler, to be compared by shapes.py: it answers POST {"n": 1} with {"n": 1} by ConvertFrom-Json
# and ConvertTo-Json, until its standard input ends.
param([Parameter(Mandatory)] [string] $Shape, [Parameter(Mandatory)] [int] $Port)
$ErrorActionPreference = 'Stop'

$answer = {
    param($Context)
    $reader = [IO.StreamReader]::new($Context.Request.InputStream)
    $table = ConvertFrom-Json $reader.ReadToEnd() -AsHashtable
    $bytes = [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -InputObject ([ordered]@{ ok = $true; result = @($table.n) }) -Compress))
    $Context.Response.ContentType = 'application/json'
    $Context.Response.ContentLength64 = $bytes.Length
    $Context.Response.OutputStream.Write($bytes, 0, $bytes.Length)
    $Context.Response.Close()
}
$listener = [Net.HttpListener]::new()
$listener.Prefixes.Add("http://127.0.0.1:$Port/")
$listener.Start()
# A queue is enumerated when it passes through a pipeline, so it travels inside a table.
$line = @{ Queue = [Collections.Concurrent.BlockingCollection[object]]::new(64) }

function Start-Copies([int] $Count, [string] $Script, [object] $First) {
    foreach ($number in 1..$Count) {
        $shell = [powershell]::Create()
        $shell.Runspace = [runspacefactory]::CreateRunspace([Management.Automation.Runspaces.InitialSessionState]::CreateDefault2())
        $shell.Runspace.ThreadOptions = 'ReuseThread'
        $shell.Runspace.Open()
        $null = $shell.AddScript($Script).AddArgument($First).AddArgument("$answer").BeginInvoke()
    }
}

$accept = 'param($Listener, $Answer) $run = [scriptblock]::Create($Answer); while ($true) { & $run $Listener.GetContext() }'
$consume = 'param($Line, $Answer) $run = [scriptblock]::Create($Answer); foreach ($context in $Line.Queue.GetConsumingEnumerable()) { & $run $context }'
switch ($Shape) {
    'accept-3' { Start-Copies 3 $accept $listener }
    'accept-8' { Start-Copies 8 $accept $listener }
    'queue-8' { Start-Copies 8 $consume $line }
    'queue-4' { Start-Copies 4 $consume $line }
    'pool' {
        $pool = [runspacefactory]::CreateRunspacePool([Management.Automation.Runspaces.InitialSessionState]::CreateDefault2())
        $null = $pool.SetMaxRunspaces(8) -and $pool.SetMinRunspaces(8)
        $pool.Open()
    }
}
[Console]::Out.WriteLine('ready')
if ($Shape -like 'accept-*') { $null = [Console]::In.ReadToEnd(); [Environment]::Exit(0) }
$over = [Console]::OpenStandardInput().ReadAsync([byte[]]::new(1), 0, 1)
while ($true) {
    $task = $listener.GetContextAsync()
    if ([Threading.Tasks.Task]::WaitAny([Threading.Tasks.Task[]] @($task, $over)) -eq 1) { [Environment]::Exit(0) }
    switch -Wildcard ($Shape) {
        'queue-*' { $line.Queue.Add($task.Result) }
        'main' { & $answer $task.Result }
        'pool' {
            $shell = [powershell]::Create()
            $shell.RunspacePool = $pool
            $null = $shell.AddScript("$answer").AddArgument($task.Result).BeginInvoke()
        }
    }
}
