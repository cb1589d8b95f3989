"""The running set of containers: its Compose model, starting and stopping it, its secrets, a sandbox."""
