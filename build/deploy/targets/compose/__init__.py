"""One engine.

target              the kind
store               its journal in the labels of volumes, its lock as a container that never runs
containers, facts   the containers as the engine has them; what differs of them from their specs
data                the files of their volumes, read and replaced
"""
