"""Alembic's entry: runs the migrations on the connection that `runtime.ledger.migrate` hands over."""

from __future__ import annotations

from alembic import context

from runtime.ledger.schema import metadata

connection = context.config.attributes["connection"]
postgresql = connection.dialect.name == "postgresql"
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
if postgresql:
    with connection.begin():
        # Two services that start at once must not migrate at once.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7241001)")
        context.run_migrations()
else:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        context.run_migrations()
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")
