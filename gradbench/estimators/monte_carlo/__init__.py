"""Gradients as means over draws: score functions and zeroth-order methods."""
