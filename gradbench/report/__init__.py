"""One self-contained page from rows: figures, coverage, failures and tables."""
