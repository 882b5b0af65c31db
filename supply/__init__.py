"""What this software is made of: parts listed (sbom), licences judged, known holes looked up (audit), built twice (reproducible)."""
