"""The table of the switch that holds all deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runtime.ledger.types import UtcTime, plain_text

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "delivery_stops",
        sa.Column("ordinal", sa.BigInteger(), primary_key=True, nullable=False),
        sa.Column("stopped_by", plain_text(), nullable=False),
        sa.Column("stopped_at", UtcTime(), nullable=False),
        sa.Column("why", plain_text(), nullable=False),
        sa.Column("resumed_by", plain_text(), nullable=False),
        sa.Column("resumed_at", UtcTime(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
