"""The ledger: all SQL and its migrations."""
