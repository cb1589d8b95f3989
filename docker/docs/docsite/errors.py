"""What can be wrong with a docs source, in words for its author."""

from __future__ import annotations


class SourceError(Exception):
    """The source can't become a site whatever the settings: nothing to build, or a config that doesn't load."""
