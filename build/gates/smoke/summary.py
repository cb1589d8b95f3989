"""What the smoke checks add to the summary of a job."""

from __future__ import annotations

from collections.abc import Sequence

from build import github
from build.gates.smoke.checks import CheckResult


def markdown(results: Sequence[CheckResult]) -> str:
    """How many passed, a row for each failed check, and the others folded away."""
    failed = [result for result in results if not result.passed]
    taken = [result for result in results if result.applies]
    title = f"{len(failed)} of {len(taken)} checks failed" if failed else f"{len(taken)} checks passed"
    rows = [(result.container, result.check, result.reason) for result in failed]
    parts = [f"### Smoke: {title}\n"]
    if failed:
        parts.append(github.table(("container", "check", "reason"), rows))
    passed = [result for result in taken if result.passed]
    if passed:
        rows = [(result.container, result.check, f"{result.seconds * 1000:.0f} ms") for result in passed]
        parts.append("<details><summary>passed</summary>\n")
        parts.append(github.table(("container", "check", "time"), rows))
        parts.append("</details>\n")
    return "\n".join(parts)
