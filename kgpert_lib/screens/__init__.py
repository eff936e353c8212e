"""What was measured: atlases, their cell lines, and where they come from."""
