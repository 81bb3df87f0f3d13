"""Objectives: rewards or losses of x_0 (b, *x), one value a sample, each a module so that it changes dtype whole."""
