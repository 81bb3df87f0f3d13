"""Figures for print: one function of rows each, which returns a matplotlib figure and the table of its numbers."""
