"""Checks that can refuse an image: a folder for each."""
