"""Compares two runs, or a run with a baseline: correctness, accuracy, time, memory."""
