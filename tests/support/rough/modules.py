"""`Modules/` of the rough tree: thirty modules, and what becomes of each on a Linux machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# What an engine that looks for modules makes of each. `hidden`: Get-Module -ListAvailable does not list it.
IMPORTS, FAILS, HIDDEN = "imports", "fails", "hidden"
APPDATA_NEEDED = "Orchard-Profile"  # imports where APPDATA is set, as the service does


@dataclass(frozen=True, slots=True)
class Module:
    """A module: its name, what becomes of it and why, and its files below Modules/."""

    name: str
    state: str
    why: str
    files: dict[str, bytes]


def _function(name: str, parameters: str = "[string] $Text = ''", body: str = "$Text") -> str:
    return f"function {name} {{\n    [CmdletBinding()] param({parameters})\n    {body}\n}}\n"


def _manifest(root: str, functions: Iterable[str], more: str = "") -> str:
    listed = ", ".join(f"'{name}'" for name in functions)
    return (
        f"@{{\n    RootModule = '{root}'\n    ModuleVersion = '1.2.0'\n    Author = 'Ada'\n"
        f"    FunctionsToExport = @({listed})\n{more}}}\n"
    )


def _module(
    name: str, state: str, why: str, code: str, *, functions: Iterable[str], folder: str = "", more: str = "",
    crlf: bool = False,
) -> Module:  # fmt: skip
    """A module with a manifest, in a folder of its own name unless there is another."""
    at = folder or name
    texts = {
        f"{at}/{name}.psd1": _manifest(f"{name}.psm1", functions, more),
        f"{at}/{name}.psm1": code,
    }
    encoded = {
        path: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() if crlf else text.encode()
        for path, text in texts.items()
    }
    return Module(name, state, why, encoded)


def _plain() -> Iterable[Module]:
    yield _module(
        "Orchard-Text", IMPORTS, "",
        _function("Get-OrchardText") + _function("Measure-OrchardText", body="[pscustomobject]@{ Length = $Text.Length }"),
        functions=("Get-OrchardText", "Measure-OrchardText"),
    )  # fmt: skip
    yield _module(
        "Orchard-Numbers", IMPORTS, "",
        _function("Get-OrchardSum", "[int[]] $Number = @()", "($Number | Measure-Object -Sum).Sum"),
        functions=["Get-OrchardSum"],
    )  # fmt: skip
    yield _module(
        "Orchard-Dates", IMPORTS, "", _function("Get-OrchardDay", "[datetime] $Day = '2026-01-02'", "$Day.DayOfWeek"),
        functions=["Get-OrchardDay"],
    )  # fmt: skip
    yield _module(
        "Orchard-Paths", IMPORTS, "", _function("Get-OrchardPath", "[string] $Path = '.'", "(Get-Item $Path).FullName"),
        functions=["Get-OrchardPath"],
    )  # fmt: skip
    yield _module(
        "Orchard-Store", IMPORTS, "keeps state between calls",
        "$script:items = @{}\n" + _function("Set-OrchardItem", "[string] $Key, $Value", "$script:items[$Key] = $Value")
        + _function("Get-OrchardItem", "[string] $Key", "$script:items[$Key]"),
        functions=("Set-OrchardItem", "Get-OrchardItem"),
    )  # fmt: skip
    yield _module(
        "Orchard-Tables", IMPORTS, "saved on Windows: a byte order mark, and lines that end in CR LF",
        _function("Get-OrchardTable", "[hashtable] $Row = @{}", "[pscustomobject] $Row"),
        functions=["Get-OrchardTable"], crlf=True,
    )  # fmt: skip
    yield _module(
        "Orchard-Baskets", IMPORTS, "exports whatever it has", _function("Get-OrchardBasket"), functions=["*"]
    )
    code = _function("Get-OrchardOrder").encode()
    yield Module("Orchard-Orders", IMPORTS, "a folder without a manifest", {"Orchard-Orders/Orchard-Orders.psm1": code})


_DECLARED_BY_ROOT = (
    "Start-Orchard", "Stop-Orchard", "Read-OrchardRow", "Read-OrchardPage", "Find-OrchardRow", "Write-OrchardRow",
    "Write-OrchardPage", "Clear-OrchardRow",
)  # fmt: skip


def _again(*names: str) -> str:
    """Code that imports modules beside this one again, and so unloads them where others had imported them."""
    return "".join(f'Import-Module "$PSScriptRoot/../{name}/{name}.psd1" -Force -Global\n' for name in names)


def _entangled() -> Iterable[Module]:
    yield _module(
        "Orchard-Root", IMPORTS, "declares eight commands; six belong to its components",
        _again("Orchard-RootReading", "Orchard-RootWriting") + _function("Start-Orchard") + _function("Stop-Orchard"),
        functions=_DECLARED_BY_ROOT,
    )  # fmt: skip
    for name, functions in (
        ("Orchard-RootReading", _DECLARED_BY_ROOT[2:5]),
        ("Orchard-RootWriting", _DECLARED_BY_ROOT[5:]),
    ):
        yield _module(
            name, IMPORTS, "a component of Orchard-Root", "".join(map(_function, functions)), functions=functions
        )
    yield _module(
        "Orchard-Reloader", IMPORTS, "unloads what others have imported",
        _again("Orchard-Text", "Orchard-RootReading") + _function("Reset-Orchard"), functions=["Reset-Orchard"],
    )  # fmt: skip
    yield _module(
        "Orchard-Conductor", IMPORTS, "unloads what others have imported",
        _again("Orchard-Reloader", "Orchard-Numbers") + "Remove-Module Orchard-Dates -ErrorAction SilentlyContinue\n"
        + _function("Invoke-OrchardTour"), functions=["Invoke-OrchardTour"],
    )  # fmt: skip


def _noisy(slow_seconds: int) -> Iterable[Module]:
    yield _module(
        "Orchard-Loud", IMPORTS, "prints at import",
        "Write-Host 'Orchard is loading'\n'a line of output'\n[Console]::Out.WriteLine('past every redirection')\n"
        + _function("Get-OrchardNoise"), functions=["Get-OrchardNoise"],
    )  # fmt: skip
    yield _module(
        "Orchard-Anxious", IMPORTS, "warns and writes errors at import",
        "Write-Warning 'no configuration'\nWrite-Error 'no licence' -ErrorAction Continue\n"
        + _function("Get-OrchardWorry"), functions=["Get-OrchardWorry"],
    )  # fmt: skip
    yield _module(
        "Orchard-Slow", IMPORTS, f"takes {slow_seconds} s to import",
        f"Start-Sleep -Seconds {slow_seconds}\n" + _function("Get-OrchardPatience"), functions=["Get-OrchardPatience"],
    )  # fmt: skip
    yield _module(
        "Orchard-Logger", IMPORTS, "logs into its working folder at import",
        "Add-Content -Path ./orchard.log -Value 'imported'\n" + _function("Get-OrchardLog"),
        functions=["Get-OrchardLog"],
    )  # fmt: skip
    yield _module(
        "Orchard-Cache", IMPORTS, "makes a folder below TEMP at import, in the root of the disk where there is none",
        'New-Item -ItemType Directory -Force -Path "$env:TEMP/orchard-cache" | Out-Null\n'
        + _function("Get-OrchardCache"), functions=["Get-OrchardCache"],
    )  # fmt: skip
    yield _module(
        APPDATA_NEEDED, IMPORTS, "needs APPDATA",
        "$script:profiles = Join-Path $env:APPDATA 'Orchard'\n"
        + _function("Get-OrchardProfile", body="$script:profiles"), functions=["Get-OrchardProfile"],
    )  # fmt: skip


def _failing() -> Iterable[Module]:
    yield _module(
        "Orchard-Windows", FAILS, "windows-only-assembly",
        "Add-Type -AssemblyName System.Windows.Forms\n"
        + _function("Show-OrchardDialog", body="[System.Windows.Forms.MessageBox]::Show($Text)"),
        functions=["Show-OrchardDialog"],
    )  # fmt: skip
    yield _module(
        "Orchard-Needy", FAILS, "missing-required-module", _function("Get-OrchardNeed"), functions=["Get-OrchardNeed"],
        more="    RequiredModules = @('Orchard-Absent')\n",
    )  # fmt: skip
    yield _module(
        "Orchard-Unclosed", FAILS, "parse-error", "function Get-OrchardHalf {\n    if ($true) {\n        'half'\n",
        functions=["Get-OrchardHalf"],
    )  # fmt: skip
    yield _module(
        "Orchard-Unquoted", FAILS, "parse-error", "function Get-OrchardQuote {\n    \"it never ends\n}\n",
        functions=["Get-OrchardQuote"],
    )  # fmt: skip
    yield _module(
        "Orchard-Homeless", FAILS, "null-environment",
        "$ErrorActionPreference = 'Stop'\n$script:data = Join-Path $env:ORCHARD_HOME 'data'\n"
        + _function("Get-OrchardHome", body="$script:data"), functions=["Get-OrchardHome"],
    )  # fmt: skip


def _hidden() -> Iterable[Module]:
    yield _module(
        "Orchard-OldName", HIDDEN, "its manifest has another name than its folder", _function("Get-OrchardName"),
        functions=["Get-OrchardName"], folder="Orchard-NewName",
    )  # fmt: skip
    yield _module(
        "Orchard-Versions", HIDDEN, "its manifest has another name than its folder", _function("Get-OrchardVersion"),
        functions=["Get-OrchardVersion"], folder="Orchard-Versioning",
    )  # fmt: skip
    yield _module(
        "Orchard-Inner", HIDDEN, "it is inside another module's folder", _function("Get-OrchardInner"),
        functions=["Get-OrchardInner"], folder="Orchard-Store/Orchard-Inner",
    )  # fmt: skip
    for name in ("Orchard-Report", "Orchard-Legacy", "Orchard-Scratch"):
        code = _function(f"Get-{name.replace('-', '')}").encode()
        yield Module(name, HIDDEN, "a loose file in the root", {f"{name}.psm1": code})


def modules(slow_seconds: int) -> tuple[Module, ...]:
    """The thirty modules; one takes `slow_seconds` to import."""
    return (*_plain(), *_entangled(), *_noisy(slow_seconds), *_failing(), *_hidden())
