"""A built or released set brought to run, by digest."""
