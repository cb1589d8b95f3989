"""The steps of quickstart, and the table that it ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from build import console
from build.columns import Column
from build.config.manifest import Manifest
from build.images.build import Built
from build.views.tables import megabytes

_NEXT_STEPS = """\
next:
  ./inv ps                      the containers and their addresses
  ./inv logs -f -c monitoring   follow a container
  ./inv smoke                   run the checks again       (./inv down stops the stack)"""


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
        urls.setdefault(service, f"http://127.0.0.1:{container.port}")
    if json:
        console.result(
            {"images": outcome.images, "urls": urls, "scan": scans, "smoke": smokes, "missing": outcome.missing}
        )
        return
    rows = []
    for name in manifest.services:
        image = outcome.images.get(name)
        if image is None:
            rows.append((console.mark("fail"), name, "not built", "", "", "", "", outcome.missing.get(name, "")))
            continue
        good = smokes.get(name) == "passed" and not scans.get(name, "").startswith("refused")
        rows.append(
            (
                console.mark("ok" if good else "fail"),
                name,
                f"{image.name}:{image.tag}",
                megabytes(image.size),
                image.digest[:19],
                urls[name],
                scans.get(name, "not scanned"),
                smokes.get(name, "not run"),
            )
        )
    reference, digest, url = Column("image", yields=3), Column("digest", yields=2), Column("url", yields=1)
    console.table(("", "service", reference, "size", digest, url, "scan", "smoke"), rows)
    if outcome.images:
        console.text(_NEXT_STEPS)
