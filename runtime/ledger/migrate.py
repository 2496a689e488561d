"""Brings a ledger's tables to the newest revision with Alembic; knows cheaply whether there is anything to do."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, inspect, text

from payments.errors import WrongConfiguration
from runtime.ledger.engine import translated

NEWEST = "0009"
"""The revision that this code needs."""


def upgrade(engine: Engine) -> None:
    """Migrate when needed. Alembic is imported only then: `tieout status` must stay quick.

    Raises WrongConfiguration when the ledger is newer than this code.
    """
    with translated(engine):
        found = _revision(engine)
        if found == NEWEST:
            return
        if found > NEWEST:
            raise WrongConfiguration(
                f"the ledger is at revision {found}, this program knows {NEWEST}", next_step="Install the newer Tieout."
            )
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _revision(engine: Engine) -> str:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return ""
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        return "" if row is None else str(row[0])
