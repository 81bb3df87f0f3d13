"""The command line: one verb a file, with its options."""
