"""Medians, Pareto fronts and the answer in words, all from rows alone."""
