"""What a request can be refused for. Each error carries the status it is answered with.

ApiError
├── BadRequest 400      the graph itself refuses the update
├── NotFound 404        no such thread, run, checkpoint or assistant
├── Conflict 409        the thread exists already, or has a run in flight
├── Invalid 422         the request cannot mean anything
└── Overloaded 503      the queue is full, or the service is stopping
"""

from __future__ import annotations


class ApiError(Exception):
    """A refusal: `detail` is what the caller reads."""

    status = 500

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BadRequest(ApiError):
    """The graph refuses what it was asked."""

    status = 400


class NotFound(ApiError):
    """Nothing of that name here."""

    status = 404


class Conflict(ApiError):
    """What exists already stands in the way."""

    status = 409


class Invalid(ApiError):
    """A value that no request of this kind can have."""

    status = 422


class Overloaded(ApiError):
    """Not now: come back later."""

    status = 503
