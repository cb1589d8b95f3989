"""This machine and its developer: doctor, quickstart, watch, checks."""
