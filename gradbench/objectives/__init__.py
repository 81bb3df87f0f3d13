"""Objectives: rewards or losses of x_0 (b, *x), one value per sample, each a module, so its dtype changes as one."""
