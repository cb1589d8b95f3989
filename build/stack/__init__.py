"""The running set of containers.

model                what runs, for every deploy target: the manifest's containers, hardened alike
compose              the model as Compose files, and Compose run on them
secrets              the files of the runtime secrets
status, evidence     what the engine says of the containers; why one is not healthy
run                  start and stop, with everything that is checked before and after
sandbox              an isolated temporary stack
"""
