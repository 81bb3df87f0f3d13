"""One self-contained page out of rows: figures, coverage, failures and tables."""
