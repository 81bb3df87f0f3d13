"""One step and the chain: a sampler is a chart, a rule and a grid."""
