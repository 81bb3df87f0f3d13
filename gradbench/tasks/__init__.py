"""Optimisations by estimated gradients: what a task moves and scores, its loop, and its curve."""
