"""Adjoint solvers of other packages."""
