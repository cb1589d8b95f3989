# Required modules from packages: .nupkg files of a folder, and, when one is configured, a module repository.

$script:Client = [Net.Http.HttpClient]::new()
$script:Client.Timeout = [timespan]::FromSeconds(60)

function Get-PackageModule([IO.Compression.ZipArchive] $Zip, [string] $File) {
    # @{ Name; Id } of the module in a package: the manifest at its root that bears the package's name.
    $nuspec = $Zip.Entries | Where-Object { $_.FullName -notmatch '/' -and $_.FullName -like '*.nuspec' } | Select-Object -First 1
    if (-not $nuspec) { throw "${File}: it holds no .nuspec, so it is not a package" }
    $reader = [IO.StreamReader]::new($nuspec.Open())
    try { $xml = [xml] $reader.ReadToEnd() } finally { $reader.Dispose() }
    $id = "$($xml.package.metadata.id)"
    $manifest = $Zip.Entries | Where-Object { $_.FullName -eq "$id.psd1" } | Select-Object -First 1
    if (-not $manifest) { throw "${File}: the package $id holds no $id.psd1, so it is not a module" }
    @{ Name = [IO.Path]::GetFileNameWithoutExtension($manifest.FullName); Manifest = $manifest.FullName }
}

function Expand-Entry([IO.Compression.ZipArchiveEntry] $Entry, [string] $Folder) {
    # Package names are URL-escaped; the package's own bookkeeping stays out, and so does any path that would leave the folder.
    $name = [uri]::UnescapeDataString($Entry.FullName).Replace('\', '/')
    if ($name.EndsWith('/') -or $name -match '^(_rels/|package/)|^\[Content_Types\]\.xml$|^[^/]+\.nuspec$') { return }
    $target = [IO.Path]::GetFullPath([IO.Path]::Combine($Folder, $name))
    if (-not $target.StartsWith("$Folder/")) { throw "the entry '$name' would be written outside the module's folder" }
    $null = [IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($target))
    [IO.Compression.ZipFileExtensions]::ExtractToFile($Entry, $target, $true)
}

function Expand-Package([string] $File, [string] $Into, [string] $Source) {
    <#
    .SYNOPSIS
        Unpack one .nupkg as Into/Name/Version, where the engine finds it; returns its name, version, source and sha256.
    #>
    $leaf = [IO.Path]::GetFileName($File)
    $zip = [IO.Compression.ZipFile]::OpenRead($File)
    $stage = "$Into/.unpacking"
    try {
        $module = Get-PackageModule $zip $leaf
        if ([IO.Directory]::Exists($stage)) { [IO.Directory]::Delete($stage, $true) }
        foreach ($entry in $zip.Entries) { Expand-Entry $entry $stage }
    } finally {
        $zip.Dispose()
    }
    $version = "$((Read-Manifest "$stage/$($module.Manifest)").Data['ModuleVersion'])"
    if (-not $version) { throw "${leaf}: its manifest has no ModuleVersion" }
    $folder = "$Into/$($module.Name)/$version"
    if ([IO.Directory]::Exists($folder)) { [IO.Directory]::Delete($folder, $true) }
    $null = [IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($folder))
    [IO.Directory]::Move($stage, $folder)
    $hash = [Convert]::ToHexString([Security.Cryptography.SHA256]::HashData([IO.File]::ReadAllBytes($File))).ToLowerInvariant()
    [ordered]@{ name = $module.Name; version = $version; source = $Source; sha256 = $hash }
}

function Get-Repository([string] $SecretFile) {
    <#
    .SYNOPSIS
        @{ Base; Headers } from the secret file: a URL, possibly with user:password@; nothing when the file is absent or empty.
    #>
    if (-not $SecretFile -or -not [IO.File]::Exists($SecretFile)) { return }
    $text = [IO.File]::ReadAllText($SecretFile).Trim()
    if (-not $text) { return }
    $uri = $null
    if (-not [uri]::TryCreate($text, [UriKind]::Absolute, [ref] $uri) -or $uri.Scheme -notin 'http', 'https') { throw 'the secret module_repository holds no http(s) URL' }
    $headers = @{}
    if ($uri.UserInfo) { $headers['Authorization'] = 'Basic ' + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes([uri]::UnescapeDataString($uri.UserInfo))) }
    $base = $uri.GetComponents([UriComponents] 'SchemeAndServer, Path', [UriFormat]::UriEscaped).TrimEnd('/')
    $repository = @{ Base = $base; Headers = $headers }
    if ($base -like '*/index.json') { $repository.Base = Get-FlatBase $repository }
    $repository
}

function Get-Answer([hashtable] $Repository, [string] $Url) {
    # @{ Status; Bytes }. What went wrong is told without the URL: it may be a company's own. A redirect drops the credentials.
    $request = [Net.Http.HttpRequestMessage]::new([Net.Http.HttpMethod]::Get, $Url)
    foreach ($name in $Repository.Headers.Keys) { $null = $request.Headers.TryAddWithoutValidation($name, [string] $Repository.Headers[$name]) }
    try {
        $answer = $script:Client.Send($request)
        @{ Status = [int] $answer.StatusCode; Bytes = $answer.Content.ReadAsByteArrayAsync().GetAwaiter().GetResult() }
    } catch {
        $cause = $_.Exception.GetBaseException()
        $kind = if ($cause -is [Net.Sockets.SocketException]) { "$($cause.SocketErrorCode)" } else { $cause.GetType().Name }
        throw "the module repository did not answer ($kind)"
    } finally {
        $request.Dispose()
    }
}

function Get-Text([hashtable] $Answer) { [Text.Encoding]::UTF8.GetString($Answer.Bytes).TrimStart([char] 0xFEFF) }

function Get-FlatBase([hashtable] $Repository) {
    $answer = Get-Answer $Repository $Repository.Base
    if ($answer.Status -ne 200) { throw "the module repository answered $($answer.Status) for its index" }
    $found = (ConvertFrom-Json (Get-Text $answer)).resources | Where-Object '@type' -like 'PackageBaseAddress/*' | Select-Object -First 1
    if (-not $found) { throw "the module repository's index names no PackageBaseAddress" }
    $found.'@id'.TrimEnd('/')
}

function Find-PackageUrl([hashtable] $Repository, [hashtable] $Need) {
    # Flat container (NuGet v3) when the repository lists versions there, else the address of v2.
    $id = $Need.Name.ToLowerInvariant()
    $answer = Get-Answer $Repository "$($Repository.Base)/$id/index.json"
    if ($answer.Status -eq 200 -and (Get-Text $answer).TrimStart().StartsWith('{')) {
        $versions = @((ConvertFrom-Json (Get-Text $answer)).versions | Where-Object { $_ -notmatch '-' -and (Test-Version $_ $Need) })
        $best = $null
        foreach ($version in $versions) { if (-not $best -or (Compare-Versions $version $best) -gt 0) { $best = $version } }
        if ($best) { return "$($Repository.Base)/$id/$best/$id.$best.nupkg" }
        throw "the module repository has no version of $($Need.Name) that fits"
    }
    if ($answer.Status -in 401, 403) { throw "the module repository refuses the credentials ($($answer.Status))" }
    $version = if ($Need.Exact) { "/$($Need.Exact)" } else { '' }
    "$($Repository.Base)/package/$($Need.Name)$version"
}

function Save-Package([hashtable] $Repository, [hashtable] $Need, [string] $Into) {
    <#
    .SYNOPSIS
        Fetch and unpack what satisfies one requirement; throws one sentence when the repository hasn't got it.
    #>
    $url = Find-PackageUrl $Repository $Need
    $file = [IO.Path]::Combine([IO.Path]::GetTempPath(), "$([guid]::NewGuid().ToString('n')).nupkg")
    try {
        $answer = Get-Answer $Repository $url
        if ($answer.Status -ne 200) { throw "the module repository answered $($answer.Status) for $($Need.Name)" }
        [IO.File]::WriteAllBytes($file, $answer.Bytes)
        $package = Expand-Package $file $Into 'repository'
        if (-not (Test-Version $package.version $Need)) { throw "the module repository gave $($package.name) $($package.version), which does not fit" }
        $package
    } finally {
        [IO.File]::Delete($file)
    }
}

Export-ModuleMember -Function Expand-Package, Get-Repository, Save-Package
