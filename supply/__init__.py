"""What this software is made of: its parts (sbom), their licences, known vulnerabilities (audit), builds compared (reproducible)."""
