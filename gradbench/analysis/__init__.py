"""What rows say: medians, Pareto fronts and the answer in words. Reads rows only."""
