"""A client of the OCI distribution API (opencontainers/distribution-spec 1.1).

credentials, logins         who logs in, and how
tls, connections            certificates; requests and their redirects
body                        what is sent: bytes, or a file piece by piece
responses, retry, transport what a response means; requests, retried, authenticated and checked
content                     what can be read of images, wherever they are
oci                         digests, raw manifests, artifacts of one document
tree                        what an index and a manifest name, and the walk over it
client, download            manifests, tags and blobs; large blobs, piece by piece
policy                      what a registry allows, probed
embedded                    the registry that this toolkit serves on loopback
deletion                    deleting manifests, and what frees the disk
"""
