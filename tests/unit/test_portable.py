"""What Windows lacks, or has with another meaning, stands behind a question for the platform.

`nox -s types` also runs the type checker for win32 and darwin, which knows every such name. It does not know that a call
means something else there.
"""

from __future__ import annotations

import ast

import pytest

from tests.support.posix import LACKING, LIBRARY
from tests.support.project import REPOSITORY

# Exists on Windows, too, and ends the process there, whatever the signal.
OTHERWISE = {("os", "kill")}
NAMES = OTHERWISE | {(module, name) for module, names in LACKING.items() for name in names.split()}
GUARDS = {"platform", "name", "hasattr", "_WINDOWS"}


def unguarded(source: str) -> list[str]:
    """The uses of NAMES before which their function, or the module, asks for no platform."""
    tree = ast.parse(source)
    scopes = [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]
    open_uses = {}
    for scope in scopes:  # inner ones come later, and decide
        guards = [
            node.lineno for node in ast.walk(scope) if isinstance(node, ast.If | ast.IfExp | ast.BoolOp) and _asks(node)
        ]
        for node in ast.walk(scope):
            if isinstance(node, ast.Attribute) and (getattr(node.value, "id", ""), node.attr) in NAMES:
                open_uses[node] = not guards or min(guards) > node.lineno
    return [ast.unparse(node) for node, is_open in open_uses.items() if is_open]


def _asks(node: ast.If | ast.IfExp | ast.BoolOp) -> bool:
    test = node if isinstance(node, ast.BoolOp) else node.test
    return any({getattr(part, "id", ""), getattr(part, "attr", "")} & GUARDS for part in ast.walk(test))


def test_w2_what_windows_lacks_stands_behind_a_question() -> None:
    """A function asks for the platform before it uses what Windows has not, or has with another meaning."""
    sources = {str(path.relative_to(REPOSITORY)): path.read_text(encoding="utf-8") for path in LIBRARY}
    named = {name: text for name, text in sources.items() if any(f"{module}.{word}" in text for module, word in NAMES)}

    assert {name: uses for name, text in named.items() if (uses := unguarded(text))} == {}
    assert len(named) >= 5


@pytest.mark.parametrize(
    ("source", "uses"),
    [
        ("def f(): os.kill(1, 0)", ["os.kill"]),
        ("if sys.platform: pass\ndef f(): signal.SIGKILL", ["signal.SIGKILL"]),
        ("def f():\n    os.fork()\n    if os.name == 'nt': pass", ["os.fork"]),
        ("def f():\n    if sys.platform == 'win32':\n        return\n    os.fork()", []),
        ("def f(): return os.getuid() if hasattr(os, 'getuid') else 0", []),
        ("def f(): return sys.platform != 'win32' and os.geteuid() == 0", []),
    ],
)
def test_the_check_sees_what_is_open(source: str, uses: list[str]) -> None:
    """A use without a question, or with one in another function or behind it, is reported."""
    assert unguarded(source) == uses
