"""The Docker engine of this machine: how it is called, what it must be, and what brings it here.

    client                              the docker binary, the two ways to call it, the versions it must have
    api, connection                     the Engine API itself, over a connection that stays open
    remote                              another engine, by its context or address
    daemon                              the daemon's process
    ports, disk                         what a container needs of this machine
    hardening                           what holds for every container
    turns                               one build at a time on an engine, one change of a stack
    ownership                           which checkout a stack belongs to
    root, apt, distribution, install    installing Docker where it is missing

Two ways lead to the engine, both in `client`:

`client()`, python-on-whales, inside `failures()`: calls that change containers, images and volumes, and later swarm and
services.

`cli()`, the docker command itself, where python-on-whales has no call or a worse one:
- bake (its `bake()` returns no digests), Compose, contexts and plugin versions;
- calls that must end: python-on-whales takes no timeout, so a daemon that hangs would hang the doctor;
- calls in threads: an interrupt ends only the processes of `process.run` there;
- the status of the stack, which is read every 250 ms until all is healthy: two commands list and inspect everything,
  where python-on-whales inspects each container by itself (nine containers: 0.2 s against 0.6 s) and fails when a
  container is removed in between. The same holds for lists that carry labels;
- logs, kept as stdout followed by stderr, and inspect output that is kept as evidence, which its models would cut down.

Importing python-on-whales costs 0.5 s of CPU time, more than any other import here: only `client()` and `failures()`
import it, when they are called.
"""
