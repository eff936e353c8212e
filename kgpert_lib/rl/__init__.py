"""Editing neighbourhoods as a task that a policy learns: its reward, its questions, and the job that trains it."""
