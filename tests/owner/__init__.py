"""A rough tree, as owners have them, taken all the way by the documentation alone."""
