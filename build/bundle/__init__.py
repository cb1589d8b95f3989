"""A bundle: releases in one file, for a place without a way to their registry. It is an OCI image layout in a tar.

form            what is in it beside the blobs: index.json, bundle.json, SHA256SUMS, VERIFY.md
archive         the tar: written and read piece by piece
collect         what belongs to a release, read from its registry
content         a bundle as content that can be verified
blob_names      what each blob is, in words
database        the vulnerability database as an artifact
write           from a registry to a file
check, load     what is missing or wrong in a file; from a file to a registry
"""
