"""Pages whose every number is from a published row: templates, and the code that looks rows up for them."""
