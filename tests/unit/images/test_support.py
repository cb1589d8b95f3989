"""How old bases are and how long they are supported, and that a newer line is one changed line."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from build.config.load import load
from build.config.manifest import Bases
from build.errors import ManifestError
from build.images import bases, build, stand_in, support
from build.images.bases import Resolved
from build.machine import supply_checks
from tests.support.project import REPOSITORY, Project

SHIPPED = load(REPOSITORY, {}, local=False).bases
DAY = date(2026, 11, 28)


def _base(
    reference: str, source: str = "upstream", created: str = "2026-11-01T10:00:00Z", suites: str = "trixie-security"
) -> Resolved:
    return Resolved(
        key="x",
        reference=reference,
        source=source,
        context="",
        digest="sha256:1",
        recipe="",
        created=created,
        suites=suites,
    )


LINES = {
    "python:3.12-slim": ("python:3.12", False, "python:3.13-slim"),
    "python:3.13.4": ("python:3.13", False, ""),
    "node:20-alpine": ("node:20", True, "node:24-alpine"),
    "node:24-alpine": ("node:24", False, ""),
    "mcr.microsoft.com/dotnet/sdk:9.0": ("dotnet/sdk:9.0", True, "mcr.microsoft.com/dotnet/sdk:10.0"),
    "python:3.120": ("", False, ""),
    "registry:2": ("", False, ""),
}


@pytest.mark.parametrize("reference", LINES)
def test_a_reference_belongs_to_the_line_that_its_tag_begins_with(reference: str) -> None:
    """The shipped table knows the end of each shipped line, and the newest line of the same image."""
    name, ended, newer = LINES[reference]
    line = support.line_of(SHIPPED, reference, DAY)

    assert (line.name if line else "", bool(line and line.ended(DAY)), line.newer if line else "") == (
        name, ended, newer,
    )  # fmt: skip


def test_a_stand_in_lasts_as_long_as_its_debian() -> None:
    """The packages of a stand-in are Debian's, whatever it stands for."""
    names = [line.name for line in support.lines(SHIPPED, _base("python:3.12-slim", "stand-in"), DAY)]

    assert names == ["python:3.12", "debian:trixie"]


def test_a_build_names_the_lines_that_ended_in_one_line() -> None:
    """Each with the day and the line to set; nothing where all are supported."""
    used = {"node": _base("node:20-alpine"), "python": _base("python:3.12-slim")}

    assert support.ended(SHIPPED, used, DAY) == "without security fixes: node:20 since 2026-04-30 (set node:24-alpine)"
    assert support.ended(SHIPPED, {"python": used["python"]}, DAY) == ""


DOCTOR = {
    "ended": (_base("node:20-alpine"), "warn", r'reference = "node:24-alpine"'),
    "old": (_base("python:3.13-slim", created="2020-01-01T00:00:00Z"), "warn", "./inv bases --refresh"),
    "no security suite": (_base("registry:2", "stand-in", suites="trixie trixie-updates"), "warn", "mirror"),
    "of an unknown age": (_base("registry:2", created=""), "ok", ""),
}


@pytest.mark.parametrize("case", DOCTOR)
def test_the_doctor_looks_after_bases(case: str) -> None:
    """An ended line, an old image and a stand-in without security updates each have a remedy."""
    base, state, remedy = DOCTOR[case]
    diagnosis = supply_checks._cared_for(SHIPPED, base, DAY)

    assert diagnosis.state == state
    assert remedy in diagnosis.remedy


def test_a_release_records_age_and_support() -> None:
    """A reader of the record need not know the calendar of the upstream projects."""
    text = support.described(SHIPPED, _base("python:3.12-slim", "stand-in"), DAY)

    assert text == "made 2026-11-01; python:3.12 supported until 2028-10-31; debian:trixie supported until 2028-08-09"


def test_a_date_that_is_none_is_refused(project: Project) -> None:
    """The message names the line."""
    project.append('\n[bases.supported_until]\n"node:20" = "April"\n')

    with pytest.raises(ManifestError, match=r"bases\.supported_until\.node:20: expected a date"):
        project.load()


def test_a_newer_line_is_one_changed_line(tmp_path: Path) -> None:
    """Nothing but versions.toml names the versions of bases: each FROM follows it."""
    text = (REPOSITORY / "versions.toml").read_text(encoding="utf-8")
    newer = {"python:3.12-slim": "python:3.13-slim", "node:20-alpine": "node:24-alpine", "sdk:9.0": "sdk:10.0"}
    for before, after in newer.items():
        assert text.count(f'{before}"\n') == 1
        text = text.replace(f'{before}"\n', f'{after}"\n')
    for name in ("docker", "Modules", "agents", "docs", "watched"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / "versions.toml").write_text(text, encoding="utf-8")
    project = Project(tmp_path)
    project.commit()

    targets = build.preview(project.load(), [])["target"].values()

    for target in targets:
        contexts = target["contexts"]
        dockerfile = (Path(target["context"]) / "Dockerfile").read_text(encoding="utf-8")
        stages = {name.lower() for name in re.findall(r"^FROM .* AS (\S+)", dockerfile, re.M)}
        sources = set(re.findall(r"^FROM (\S+)", dockerfile, re.M)) - stages - {"scratch"}
        assert sources <= contexts.keys()
        assert not any(old in value for value in contexts.values() for old in newer)


def test_e10_a_stand_in_s_recipe_has_the_suites_with_updates() -> None:
    """Another set of suites is another recipe: bases are made again once."""
    base = SHIPPED.images["python"]

    assert stand_in.recipe("trixie", base) != stand_in.recipe("bookworm", base)
    assert stand_in._suites("trixie") == ("trixie-updates", "trixie-security")


def test_stand_ins_of_other_settings_have_other_names(project: Project) -> None:
    """Two checkouts with different packages do not make each other's stand-in again and again."""
    manifest = project.load()
    names = {
        stand_in.name(manifest, bases_of.images["python"])
        for bases_of in (manifest.bases, Bases(images={"python": SHIPPED.images["python"]}))
    }
    other = stand_in.name(project.load(UC_BASES_SUITE="bookworm"), manifest.bases.images["python"])

    assert len(names) == 1
    assert other not in names
    assert bases.recipe(manifest, manifest.bases.images["python"])
