"""Makes the database users of a PostgreSQL ledger, each with no more than it needs. Run by the tables' owner.

Writers change records and add to what is only ever added to: the audit log and the receipts. Readers look. Witnesses look
and add to the audit log. Nobody deletes, and nobody but the owner changes a table. A user logs in with an AWS token where the database knows the role
`rds_iam` (Aurora, RDS), and not at all elsewhere until its owner gives it a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, Engine, text

from payments.errors import NotAllowed
from runtime.ledger.engine import translated
from runtime.ledger.schema import metadata

USER = re.compile(r"[a-z][a-z0-9_]{0,62}")
ADDED_ONLY = frozenset({"audit", "receipts"})
SHOWN_ONLY = frozenset({"alembic_version"})


def make_users(
    engine: Engine,
    *,
    writers: Iterable[str],
    readers: Iterable[str],
    witnesses: Iterable[str] = (),
    at_once: Mapping[str, int] | None = None,
) -> None:
    """Make the users that are missing, and set the rights of all. Raises NotAllowed for a name that is none.

    `at_once` says how many connections a user may have at the same time; who is not in it is not limited.
    """
    if engine.dialect.name != "postgresql":
        raise NotAllowed("only a PostgreSQL ledger has users", next_step="Set `ledger.url` to the one on AWS.")
    tables = [*metadata.tables, *SHOWN_ONLY]
    with translated(engine), engine.begin() as connection:
        by_token = _exists(connection, "rds_iam")
        everybody = [(_written, writers), (_looked_at, readers), (_witnessed, witnesses)]
        for name, rights in [(name, rights) for rights, names in everybody for name in names]:
            if not USER.fullmatch(name):
                raise NotAllowed(f"{name!a} cannot be a database user", next_step="Use a-z, 0-9 and _, at most 63.")
            if not _exists(connection, name):
                connection.execute(text(f"CREATE ROLE {name} LOGIN"))
            # A limit of the database, not of whoever calls: it holds whatever starts more of a function.
            connection.execute(text(f"ALTER ROLE {name} CONNECTION LIMIT {int((at_once or {}).get(name, -1))}"))
            if by_token:
                connection.execute(text(f"GRANT rds_iam TO {name}"))
            connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {name}"))
            connection.execute(text(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {name}"))
            for table in tables:
                connection.execute(text(f"GRANT {rights(table)} ON {table} TO {name}"))
            if rights is _written:
                connection.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}"))


def _written(table: str) -> str:
    if table in SHOWN_ONLY:
        return "SELECT"
    return "SELECT, INSERT" if table in ADDED_ONLY else "SELECT, INSERT, UPDATE"


def _looked_at(_table: str) -> str:
    return "SELECT"


def _witnessed(table: str) -> str:
    return "SELECT, INSERT" if table == "audit" else "SELECT"


def _exists(connection: Connection, role: str) -> bool:
    found = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    return found.first() is not None
