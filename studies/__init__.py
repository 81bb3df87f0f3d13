"""Numerical studies on random distributions: each module writes one page of docs/findings, `python -m studies` all."""
