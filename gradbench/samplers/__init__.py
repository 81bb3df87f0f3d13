"""Samplers, their steps and their chains: a sampler is a chart, a rule and a grid."""
