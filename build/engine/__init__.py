"""The Docker engine: its client and daemon, the ports and the disk of this machine, and what installs it.

Two ways lead to the engine, both from `client.py`:

`client()`, python-on-whales, inside `failures()`: the calls that act on containers, images, networks and volumes.

`cli()`, the docker command itself, where python-on-whales has no call or a worse one:
- bake (its `bake()` returns no digests), Compose, contexts and plugin versions;
- calls that must end: python-on-whales takes no timeout, so a daemon that hangs would hang the doctor, too;
- the status of the stack, which is read every 250 ms until all is healthy: two commands list and inspect everything,
  where python-on-whales inspects each container by itself (nine containers: 0.2 s against 0.6 s), and fails when one
  is removed in between. The same goes for lists that carry labels;
- logs, kept as stdout, then stderr, and the inspect output that is kept as evidence, which its models would cut down.

Importing python-on-whales costs 0.5 s of CPU time, more than any other import here: `client()` and `failures()` do it,
and no module on import.
"""
