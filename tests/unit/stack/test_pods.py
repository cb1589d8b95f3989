"""What a pod is given, in the words of Kubernetes."""

from __future__ import annotations

import pytest

from build.stack import pods


@pytest.mark.parametrize(
    ("docker", "expected"),
    [("512m", "512Mi"), ("1g", "1Gi"), ("1.5G", "1536Mi"), ("64kb", "64Ki"), ("1000", "1000"), ("2048b", "2Ki")],
)
def test_sizes_are_powers_of_1024(docker: str, expected: str) -> None:
    """As Docker reads them: Kubernetes' own m would be a thousandth of a byte."""
    assert pods.size(docker) == expected
