"""The Docker engine: its client, its daemon, the ports of this machine, and what installs it."""
