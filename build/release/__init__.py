"""A release as one transaction over git and registry; `steps` tells it."""
