"""Gradients along the path that was taken: recoveries, pullbacks and truncations."""
