"""Docker Swarm, by the Engine API.

target                           the kind
store, secrets, logins           its journal in configs; values of secrets by their content; logins of registries
nodes, tasks, observed, drift    what the swarm says of nodes, tasks and services; what differs from a spec
problems, encryption, trial      what forbids a deploy; whether networks can be encrypted; a trial on every node
rollout, files                   whether an update has come about; what would be applied, as files
data                             the files of volumes, read and replaced on their node
"""
