"""The running set of containers.

model                what runs, for every deploy target: the manifest's containers, hardened alike
compose              the model as Compose files, and Compose run on them
swarm, swarm_file    the model as services of a swarm; those as a stack file
kubernetes, pods     the model as Kubernetes objects
yaml_file, sizes     YAML for people; sizes as Docker writes them
secret_folder        where the runtime secrets are, also on a disk without file modes
secrets              their files
status, evidence     what the engine says of the containers; why one is not healthy
run                  start and stop, with everything that is checked before and after
logs                 what the containers wrote
mcp_clients          configurations of MCP clients for its MCP servers
sandbox              an isolated temporary stack
"""
