"""The diffusion process: schedules, grids, charts, denoisers, noise, and distributions known in closed form."""
