"""What can be wrong with a docs source, in words for its author."""

from __future__ import annotations


class SourceError(Exception):
    """The source can't become a site whatever the settings: nothing to build, or a config that doesn't load."""


class SiteProblems(Exception):
    """The source builds, but the site would have the listed faults."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
