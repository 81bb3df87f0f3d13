"""Adapters that make `Denoiser`s of real networks."""
