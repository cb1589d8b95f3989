"""A namespace of a cluster, by kubectl.

target, kubectl          the kind; the program
store, secrets           its journal in ConfigMaps, its lock as a Lease; values of secrets, written in place
state, drift             what the cluster says of workloads and pods; what differs from a spec
problems, files          what forbids a deploy; what would be applied, as files for kustomize
"""
