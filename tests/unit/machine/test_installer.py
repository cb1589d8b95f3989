"""How a lock is read."""

from __future__ import annotations

from build.machine.installer import requirements

LOCK = """\
# a comment
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:1
Ruamel_Yaml==0.19.1 \\
    --hash=sha256:2 \\
    --hash=sha256:3
"""


def test_a_requirement_is_its_name_and_all_its_lines() -> None:
    """Each requirement by its normalised name, with its marker and every hash; comments are none."""
    assert requirements(LOCK) == {
        "colorama": "colorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:1\n",
        "ruamel-yaml": "Ruamel_Yaml==0.19.1 \\\n    --hash=sha256:2 \\\n    --hash=sha256:3\n",
    }
    assert requirements("") == {}
