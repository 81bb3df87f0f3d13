"""Numerical studies over random laws: each module writes one page of docs/findings. `python -m studies` writes all."""
