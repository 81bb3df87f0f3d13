"""Real networks behind the Denoiser contract."""
