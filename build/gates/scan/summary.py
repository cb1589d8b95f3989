"""What the scan adds to the summary of a job."""

from __future__ import annotations

from collections.abc import Sequence

from build import github
from build.gates.scan import findings
from build.gates.scan.findings import Finding
from build.gates.scan.verdict import ImageVerdict, described

_SHOWN = 20


def markdown(verdicts: Sequence[ImageVerdict]) -> str:
    """A row for each image, and the findings that refuse it, worst first."""
    refused = sum(verdict.refused for verdict in verdicts)
    title = f"Scan: {refused} of {len(verdicts)} images refused" if refused else f"Scan: {len(verdicts)} images passed"
    columns = ("service", *(name.lower() for name in findings.SEVERITIES), "waived", "verdict")
    rows = [
        (
            verdict.service,
            *(str(verdict.findings[severity]) for severity in findings.SEVERITIES),
            str(verdict.waived),
            described(verdict),
        )
        for verdict in verdicts
    ]
    parts = [f"### {title}\n", github.table(columns, rows)]
    for verdict in verdicts:
        if verdict.gated:
            parts.append(f"<details><summary>{verdict.service}: {len(verdict.gated)} at the gate</summary>\n")
            parts.append(_table(verdict.gated[:_SHOWN]))
            if len(verdict.gated) > _SHOWN:
                parts.append(f"… and {len(verdict.gated) - _SHOWN} more, in the reports\n")
            parts.append("</details>\n")
    return "\n".join(parts)


def _table(gated: Sequence[Finding]) -> str:
    rows = [(found.severity, found.id, found.subject, found.fixed) for found in gated]
    return github.table(("severity", "id", "where", "fixed in"), rows)
