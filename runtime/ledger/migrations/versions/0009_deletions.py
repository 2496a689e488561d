"""The table of what is gone from the store, by a lifecycle rule or otherwise."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runtime.ledger.types import UtcTime, plain_text

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "deletions",
        sa.Column("key", plain_text(), primary_key=True, nullable=False),
        sa.Column("version", plain_text(), primary_key=True, nullable=False),
        sa.Column("kind", plain_text(), primary_key=True, nullable=False),
        sa.Column("cause", plain_text(), nullable=False),
        sa.Column("deleted_at", UtcTime(), nullable=False),
        sa.Column("store", plain_text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("chain", plain_text(), nullable=False),
        sa.Column("needed", sa.Boolean(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("settled_by", plain_text(), nullable=False),
        sa.Column("settled_at", UtcTime(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_deletions_open", "deletions", ["is_open", "deleted_at"])
    op.create_index("ix_deletions_chain", "deletions", ["chain", "store", "day"])
