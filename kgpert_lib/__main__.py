"""``python -m kgpert_lib`` is the ``kgpert`` command."""

from kgpert_lib.cli.main import main

if __name__ == "__main__":
    main()
