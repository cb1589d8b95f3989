# What the environment says, read once and checked; everything else takes settings as arguments.

function Read-Number([string] $Name, [int] $Default, [int] $Least, [int] $Most) {
    $text = [Environment]::GetEnvironmentVariable($Name)
    if ([string]::IsNullOrWhiteSpace($text)) { return $Default }
    $number = 0
    if (-not [int]::TryParse($text, [ref] $number) -or $number -lt $Least -or $number -gt $Most) {
        throw "${Name}: expected a whole number from $Least to $Most, not '$text'"
    }
    $number
}

function Read-Text([string] $Name, [string] $Default) {
    $text = [Environment]::GetEnvironmentVariable($Name)
    if ([string]::IsNullOrWhiteSpace($text)) { $Default } else { $text.Trim() }
}

function Read-Names([string] $Name, [string] $Default) {
    , [string[]] @((Read-Text $Name $Default).Split(',') | ForEach-Object Trim | Where-Object { $_ })
}

function Get-Settings {
    <#
    .SYNOPSIS
        The service's settings as a hashtable; throws one sentence that names the variable when one is wrong.
    #>
    $level = (Read-Text 'UC_LOG_LEVEL' 'INFO').ToLowerInvariant()
    $workers = Read-Number 'UC_WORKERS' 4 1 64
    @{
        Service       = Read-Text 'UC_SERVICE' 'powershell-modules'
        Address       = (Read-Text 'UC_HOST' '*') -replace '^0\.0\.0\.0$', '*'
        Port          = Read-Number 'UC_PORT' 5985 1 65535
        LogLevel      = $level
        ModulesPath   = [IO.Path]::GetFullPath((Read-Text 'UC_MODULES_PATH' '/opt/uc/Modules')).TrimEnd('/')
        RequiredPath  = [IO.Path]::GetFullPath((Read-Text 'UC_REQUIRED_PATH' '/opt/uc/Required')).TrimEnd('/')
        Workspace     = [IO.Path]::GetFullPath((Read-Text 'UC_WORKSPACE' '/workspace'))
        Critical      = Read-Names 'UC_CRITICAL' ''
        Allowed       = Read-Names 'UC_ALLOWED_MODULES' ''
        Workers       = $workers
        StuckLimit    = 4 * $workers
        Queue         = Read-Number 'UC_QUEUE' 64 1 10000
        CallSeconds   = Read-Number 'UC_CALL_TIMEOUT_SECONDS' 30 1 3600
        ImportSeconds = Read-Number 'UC_IMPORT_TIMEOUT_SECONDS' 30 1 3600
        # For the second try of a module whose import has passed the first limit.
        SlowImportSeconds = Read-Number 'UC_SLOW_IMPORT_TIMEOUT_SECONDS' 600 1 3600
        CallStack     = 1KB * (Read-Number 'UC_CALL_STACK_KIB' 1024 512 65536)
        DrainSeconds  = Read-Number 'UC_DRAIN_SECONDS' 2 0 3600
        BodySeconds   = Read-Number 'UC_BODY_TIMEOUT_SECONDS' 5 1 300
        BodyBytes     = 1MB
        ResultBytes   = Read-Number 'UC_RESULT_BYTES' 1MB 1024 64MB
        ResultDepth   = 6
        HealthSeconds = 5
        TokenFile     = Read-Text 'POWERSHELL_TOKEN_FILE' '/run/secrets/powershell_token'
    }
}

function Initialize-Surroundings([hashtable] $Settings) {
    <#
    .SYNOPSIS
        Give modules a place of their own to write to, and the variables that Windows modules take for granted.
    #>
    $home_ = Read-Text 'HOME' '/tmp/home'
    $places = [ordered]@{
        HOME         = $home_
        USERPROFILE  = $home_
        TEMP         = [IO.Path]::GetTempPath().TrimEnd('/')
        TMP          = [IO.Path]::GetTempPath().TrimEnd('/')
        APPDATA      = "$home_/AppData/Roaming"
        LOCALAPPDATA = "$home_/AppData/Local"
    }
    foreach ($name in $places.Keys) {
        $place = Read-Text $name $places[$name]
        [Environment]::SetEnvironmentVariable($name, $place)
        $null = [IO.Directory]::CreateDirectory($place)
    }
    $env:COMPUTERNAME = Read-Text 'COMPUTERNAME' ([Environment]::MachineName)
    $env:USERNAME = Read-Text 'USERNAME' ([Environment]::UserName)
    $env:PSModuleAnalysisCachePath = Read-Text 'PSModuleAnalysisCachePath' "$home_/ModuleAnalysisCache"
    $env:PSModulePath = $Settings.ModulesPath, $Settings.RequiredPath, "$PSHOME/Modules" -join [IO.Path]::PathSeparator
    [Environment]::CurrentDirectory = $env:TEMP
}

Export-ModuleMember -Function Get-Settings, Initialize-Surroundings
