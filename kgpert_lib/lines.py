"""The cell lines of the screens: the names that tables and options use, and how the lines are written."""

LINES = {"k562": "K562", "rpe1": "RPE1", "hepg2": "HepG2", "jurkat": "Jurkat"}
