"""A release as one transaction over git and the registry; read `steps`."""
