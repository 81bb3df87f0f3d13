"""The subject: estimators of the gradient through a diffusion sampler."""
