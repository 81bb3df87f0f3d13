"""The suite: cases, plans, isolated workers, rows."""
