"""Pathwise gradients: recoveries, pullbacks and truncations."""
