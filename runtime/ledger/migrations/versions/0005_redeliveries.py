"""The table of chosen payments that are sent again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runtime.ledger.types import TotalText, UtcTime, plain_text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "redeliveries",
        sa.Column("file_id", plain_text(), primary_key=True, nullable=False),
        sa.Column("list_sha256", plain_text(), primary_key=True, nullable=False),
        sa.Column("acquirer", plain_text(), nullable=False),
        sa.Column("object_sha256", plain_text(), nullable=False),
        sa.Column("total", TotalText(), nullable=False),
        sa.Column("decided_at", UtcTime(), nullable=False),
        sa.Column("returned_in", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
