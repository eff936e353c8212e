"""Predictions of every gene as a folder of tables to pass on, with its data card."""
