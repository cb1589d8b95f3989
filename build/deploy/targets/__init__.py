"""The kinds of target, a package each: compose, swarm, kubernetes. ../kinds.py is the list."""
