"""The ``kgpert`` command, a thin layer over the library."""
