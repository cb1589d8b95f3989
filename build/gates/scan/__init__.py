"""The scan gate: Trivy on exact digests."""
