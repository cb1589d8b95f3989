"""Signatures and attestations of what is in a registry, in the forms that cosign reads.

keys            the signing key and the public keys that verify, as files
cosign          signing by the program cosign, with keys that only it reaches
signer          which of the two signs
payload         what a signature of an image is over (cosign's SIGNATURE_SPEC.md)
envelope        DSSE envelopes of in-toto statements
keyless         signatures that cosign makes without a key, and attaches and verifies itself
attached        how both are stored beside an image: its .sig and .att tags
"""
