"""A client of the OCI distribution API (opencontainers/distribution-spec 1.1).

credentials, transport      who logs in; requests, retried and authenticated
oci                         digests, raw manifests, artifacts of one document
client                      manifests, tags and blobs
policy                      what a registry allows, probed
embedded                    the registry that this toolkit serves on loopback
"""
