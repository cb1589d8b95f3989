"""The smoke gate: real requests to a running set."""
