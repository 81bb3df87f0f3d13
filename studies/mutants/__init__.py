"""The mutation study: small wrong changes of the core's formulas, and which test notices each."""
