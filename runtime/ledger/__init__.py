"""The ledger: the SQL memory of what was done. All SQL and all migrations live here; SQLAlchemy appears nowhere else."""
