"""OCI distribution client: transport, credentials, registry policy, artifacts, and the embedded registry."""
