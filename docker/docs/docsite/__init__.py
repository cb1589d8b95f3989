"""Turns the docs source into a static site in OUT, or says plainly why it can't."""
