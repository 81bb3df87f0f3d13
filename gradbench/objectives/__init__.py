"""Objectives: modules from x_0 (b, *x) to one reward or loss per sample, (b); `.to(dtype)` casts them whole."""
