"""Edits of a gene's graph neighbourhood as a Verifiers taskset."""

from kgpert.taskset import EditTaskset

__all__ = ["EditTaskset"]
