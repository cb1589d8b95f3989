"""What GitLab demands of a report of a container scan."""

from __future__ import annotations

from typing import Any

TIME = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$"}
TEXT = {"type": "string", "minLength": 1}
LINK = {"type": "string", "pattern": "^(https?|ftp)://.+"}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required | optional}


def _list(items: dict[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


TOOL = _object({"id": TEXT, "name": TEXT, "version": TEXT, "vendor": _object({"name": TEXT})}, url=LINK)
# What version 15.0.7 of GitLab's own schema demands of the parts that are written here: GitLab drops a report that breaks
# any of it, as a whole.
SCHEMA = _object({
    "version": {"type": "string", "pattern": r"^15\.\d+\.\d+$"},
    "scan": _object({
        "analyzer": TOOL, "scanner": TOOL, "start_time": TIME, "end_time": TIME,
        "status": {"enum": ["success", "failure"]}, "type": {"const": "container_scanning"},
    }),
    "vulnerabilities": _list(_object(
        {
            "id": TEXT,
            "identifiers": _list(_object({"type": TEXT, "name": TEXT, "value": TEXT}, url=LINK), 1),
            "location": _object({
                "dependency": _object({"package": _object({"name": {"type": "string"}}), "version": {"type": "string"}}),
                "operating_system": TEXT, "image": TEXT,
            }),
        },
        name={"type": "string", "maxLength": 255},
        description={"type": "string", "maxLength": 1 << 20},
        solution={"type": "string", "maxLength": 7000},
        severity={"enum": ["Info", "Unknown", "Low", "Medium", "High", "Critical"]},
        links=_list(_object({"url": LINK})),
        details={"type": "object", "additionalProperties": _object({
            "name": TEXT, "type": {"const": "text"}, "value": {"type": "string"},
        })},
    )),
})  # fmt: skip
