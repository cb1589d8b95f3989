"""Images that tests create without a build."""

from __future__ import annotations

from pathlib import Path

from build.images.export import Exported
from build.images.image import Image
from build.images.layout import Layout


def exported(home: str, service: str, folder: Path) -> Exported:
    """Return the image of an OCI layout in `folder` as an export would; `home` is ADDRESS/NAMESPACE."""
    layout = Layout(folder)
    image = Image(
        service=service,
        name=f"{home}/{service}",
        tag="",
        digest=layout.top()["digest"],
        fingerprint="",
        size=layout.size(),
        pushed=False,
    )
    return Exported(image=image, layout=layout)
