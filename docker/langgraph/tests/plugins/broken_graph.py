"""Fails at import, as a user's module does when its dependency is missing."""

import a_module_that_is_not_installed  # type: ignore[import-not-found]  # noqa: F401 - it is there to fail
