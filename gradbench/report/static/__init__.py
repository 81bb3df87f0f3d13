"""Static figures for print: one function of rows each, which returns a matplotlib figure and the table behind it."""
