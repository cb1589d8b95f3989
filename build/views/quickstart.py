"""The steps of quickstart, and the table that it ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from build import console
from build.columns import Column
from build.config.manifest import Manifest
from build.images.build import Built
from build.images.image import short
from build.views.tables import megabytes

_NEXT = """\
next:
  ./inv ps                      the containers and their addresses
  ./inv logs monitoring -f      follow a container
  ./inv smoke                   run the checks again
  ./inv down                    stop the stack"""
_AFTER_A_PROBLEM = """\
next: fix what is marked with {mark}, then ./inv quickstart again;
what is done already is not done twice.
  ./inv logs                    what the containers write"""


def planned(titles: Sequence[str], *, json: bool = False) -> None:
    """Print the titles of the steps."""
    if json:
        console.result({"steps": titles})
    else:
        console.table(("step",), [(title,) for title in titles], title="would do, in this order:")


def summary(
    manifest: Manifest,
    outcome: Built,
    scans: Mapping[str, str],
    smokes: Mapping[str, str],
    *,
    json: bool = False,
) -> None:
    """Print the image, digest, first address, scan and smoke result of each service, and what to type next."""
    urls: dict[str, str] = {}
    for service, container in manifest.containers().values():
        urls.setdefault(service, f"http://127.0.0.1:{container.published}")
    if json:
        console.result(
            {"images": outcome.images, "urls": urls, "scan": scans, "smoke": smokes, "missing": outcome.missing}
        )
        return
    rows, failed = [], False
    for name in manifest.services:
        image = outcome.images.get(name)
        good = image is not None and smokes.get(name) == "passed" and scans.get(name, "").startswith("passed")
        failed = failed or not good
        reason = outcome.missing.get(name, "") if image is None else ""
        rows.append((
            console.mark("ok" if good else "fail"),
            name,
            f"{image.name}:{image.tag}" if image else "",
            megabytes(image.size) if image else "",
            short(image.digest) if image else "",
            urls[name] if image else "",
            scans.get(name, "not scanned") if image else "not built",
            smokes.get(name, "not run") if image else "",
            reason,
        ))  # fmt: skip
    reference, digest, url = Column("image", yields=4), Column("digest", yields=3), Column("url", yields=2)
    problem = Column("problem" if any(row[-1] for row in rows) else "", yields=1, prose=True)
    console.table(("", "service", reference, "size", digest, url, "scan", "smoke", problem), rows)
    if outcome.images:
        console.text(_AFTER_A_PROBLEM.format(mark=console.mark("fail")) if failed else _NEXT)
