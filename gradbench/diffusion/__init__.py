"""The process: schedules, grids, charts, denoisers, noise and laws known in closed form."""
