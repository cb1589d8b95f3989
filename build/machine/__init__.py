"""This machine and its developer: its .venv, doctor, quickstart, watch, checks."""
