"""Checks that can refuse an image: a folder for each, listed in order.py.

verdict, protocol, order    what a release records of a gate; what a gate is; which there are
scan                        Trivy on the exact digests, with dated waivers
smoke                       real requests to the running containers, and a journey across them
"""
