"""The table of how it goes to reach sources and outboxes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runtime.ledger.types import UtcTime, plain_text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "contacts",
        sa.Column("subject", plain_text(), primary_key=True, nullable=False),
        sa.Column("tried_at", UtcTime(), nullable=False),
        sa.Column("succeeded_at", UtcTime(), nullable=True),
        sa.Column("failing_since", UtcTime(), nullable=True),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("error", plain_text(), nullable=False),
        sa.Column("reason", plain_text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
