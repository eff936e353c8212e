"""The files that the project downloads: a registry with checksums, and verified, resumable fetching."""
