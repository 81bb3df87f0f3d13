"""Estimators of the gradient through a diffusion sampler."""
