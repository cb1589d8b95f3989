"""A client of the OCI distribution API: transport, credentials, what a registry allows, the embedded one."""
