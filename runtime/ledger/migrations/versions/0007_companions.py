"""The table of marker and checksum files that are put beside delivered files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runtime.ledger.types import UtcTime, plain_text

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "companions",
        sa.Column("file_id", plain_text(), primary_key=True, nullable=False),
        sa.Column("acquirer", plain_text(), nullable=False),
        sa.Column("kind", plain_text(), nullable=False),
        sa.Column("name", plain_text(), nullable=False),
        sa.Column("state", plain_text(), nullable=False),
        sa.Column("due_at", UtcTime(), nullable=False),
        sa.Column("temporary_name", plain_text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", UtcTime(), nullable=True),
        sa.Column("placed_at", UtcTime(), nullable=True),
        sa.Column("note", plain_text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_companions_state", "companions", ["acquirer", "state"])
