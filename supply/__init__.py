"""Check what this software is made of: its parts (sbom), their licences, known vulnerabilities (audit), builds (reproducible)."""
