"""How good predictions are, how good they can be, and how far to trust one."""
