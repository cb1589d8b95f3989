"""What is brought to run, by digest: the images of the last build, or a released set on a target. Read steps.py.

released, start, rescan        the images of a release, from its record; the stack of this checkout; a new scan of it
target, kinds, targets         what every kind of target can do, the list of them, and a module for each
sets, changes, drift           the set that a release is on a target; what it changes; what was changed by hand
ledger, locking                what ran where, kept by the target itself; one deploy at a time
in_use                         the images that the journals of all targets name
run, steps, preflight          the state of a deploy, its steps, and what forbids it
converge, recovery, smoke      one container after the other; what follows a failure; the checks asked of a target
formats, kept                  whether an image can read the data; what is kept of it
beside, in_volume              a container beside a volume; the program that runs in it
archive, restoring, backup     a backup as a file; on its way back; both commands
command, rotation, status      from flags to a deploy; renewing a secret; what runs, and the history
"""
