"""Editing neighbourhoods as a task that a policy learns: its reward, its questions, its job, and recorded runs."""
