"""The triage graph: what a change in the watched tree means, and what to do about it."""
