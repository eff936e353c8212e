"""Scores over arrays: deltas, inner products, intervals and tests, AUROC."""
