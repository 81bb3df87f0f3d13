"""Pages whose every number is that of a published row: templates, and what looks rows up for them."""
