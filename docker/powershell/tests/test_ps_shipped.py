"""The shipped modules, called as the other services call them."""

from __future__ import annotations

from pathlib import Path

import pytest
from psserver import Service

LOG = """\
-----CompilerOutput:-stdout--exitcode: 1--compilationhadfailure: True--outfile: Temp/Assembly-CSharp.dll
Assets/Scripts/Player.cs(12,34): error CS1002: ; expected
Assets\\Scripts\\Enemy.cs(7): warning CS0168: The variable 'x' is declared but never used [C:\\p\\Game.csproj]
-----EndCompilerOutput---------------
Assets/Scripts/Player.cs(12,34): error CS1002: ; expected
error CS0006: Metadata file 'Library/x.dll' could not be found
Shader error in 'Custom/Water': undeclared identifier 'foo' at line 33 (on d3d11)
no errors here, only the words error and warning
"""


@pytest.fixture
def workspace(service: Service) -> Path:
    """The folder the modules may read."""
    return service.folder / "workspace"


@pytest.mark.parametrize("by", ["Path", "Text"])
def test_compile_messages_are_read_once_each(service: Service, workspace: Path, by: str) -> None:
    """C#, MSBuild, placeless and shader messages, each once, from a file or from text."""
    (workspace / "Editor.log").write_text(LOG.replace("\n", "\r\n"), newline="")
    value = "Editor.log" if by == "Path" else LOG
    found = service.result("Unity-Claude-CompileLog", "ConvertFrom-UnityCompileLog", **{by: value})
    assert [tuple(record.values()) for record in found] == [
        ("Assets/Scripts/Player.cs", 12, 34, "error", "CS1002", "; expected"),
        ("Assets/Scripts/Enemy.cs", 7, None, "warning", "CS0168", "The variable 'x' is declared but never used"),
        (None, None, None, "error", "CS0006", "Metadata file 'Library/x.dll' could not be found"),
        ("Custom/Water", 33, None, "error", None, "undeclared identifier 'foo'"),
    ]


@pytest.mark.parametrize("path", ["../outside.log", "/etc/passwd", "link/passwd", "dir/../../outside.log", "file-link"])
@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("Unity-Claude-CompileLog", "ConvertFrom-UnityCompileLog"),
        ("Unity-Claude-FileTree", "Get-FileTreeSummary"),
        ("Unity-Claude-RepositoryHealth", "Get-RepositoryHealth"),
        ("Unity-Claude-Workspace", "Resolve-WorkspacePath"),
    ],
)
def test_no_path_leaves_the_workspace(service: Service, workspace: Path, module: str, command: str, path: str) -> None:
    """Dots, absolute paths and links in the middle or at the end are all refused by name."""
    (workspace.parent / "outside.log").write_text("secret")
    for name, target in {"link": "/etc", "file-link": "../outside.log"}.items():
        if not (workspace / name).is_symlink():
            (workspace / name).symlink_to(target)
    body = service.invoke(module, command, Path=path).json()
    assert body["ok"] is False
    assert body["result"] == []
    assert "outside the workspace" in body["errors"][0]


def test_links_that_stay_inside_are_followed(service: Service, workspace: Path) -> None:
    """The jail looks at where a path leads, not at how it is written."""
    (workspace / "real").mkdir(exist_ok=True)
    (workspace / "real" / "a.txt").write_text("a")
    if not (workspace / "inside").is_symlink():
        (workspace / "inside").symlink_to("real")
    found = service.result("Unity-Claude-Workspace", "Resolve-WorkspacePath", Path="inside/../inside/a.txt")
    assert found == [str(workspace.resolve() / "real" / "a.txt")]


def test_a_tree_is_summed_up(service: Service, workspace: Path) -> None:
    """Counts, sizes and kinds, without build folders, without following links."""
    root = workspace / "tree"
    for name, size in {"a.cs": 10, "b/c.cs": 30, "b/d.txt": 5, "node_modules/x.js": 99}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * size)
    if not (root / "loop").is_symlink():
        (root / "loop").symlink_to(".")
    (summary,) = service.result("Unity-Claude-FileTree", "Get-FileTreeSummary", Path="tree", Top=1)
    assert (summary["files"], summary["folders"], summary["links"], summary["bytes"]) == (3, 1, 1, 45)
    assert summary["extensions"][0] == {"extension": ".cs", "files": 2, "bytes": 40}
    assert summary["largest"][0]["path"] == "b/c.cs"
    assert summary["skipped"] == ["node_modules"]


def test_a_repository_is_examined(service: Service, workspace: Path) -> None:
    """Every kind of trouble is found in the file that has it; a clean one is healthy."""
    root = workspace / "repo"
    files = {
        ".git/HEAD": "ref: refs/heads/feature/x\n",
        ".git/packed-refs": "# pack-refs\n1234567890abcdef1234567890abcdef12345678 refs/heads/feature/x\n",
        "Assets/Player.cs": "<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n",
        "Assets/Gone.cs.meta": "guid: 1",
        "id.pem": "-----BEGIN RSA PRIVATE " + "KEY-----\n",
        "broken.ps1": "function x {",
        "broken.json": "{",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (health,) = service.result("Unity-Claude-RepositoryHealth", "Get-RepositoryHealth", Path="repo")
    assert (health["status"], health["branch"], health["commit"][:7]) == ("errors", "feature/x", "1234567")
    counts = {check["name"]: check["count"] for check in health["checks"]}
    assert counts == {
        "merge-conflicts": 1,
        "private-keys": 1,
        "powershell-syntax": 1,
        "json-syntax": 1,
        "unity-meta": 2,
        "large-files": 0,
        "gitignore": 1,
    }
    (workspace / "clean").mkdir(exist_ok=True)
    (clean,) = service.result("Unity-Claude-RepositoryHealth", "Get-RepositoryHealth", Path="clean")
    assert clean["status"] == "healthy"
