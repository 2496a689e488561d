"""The command line: one file per command, and what notebooks need."""
