"""The tables of what is known of an acquirer's server: staged host keys, and what the newest probe found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runtime.ledger.types import JsonText, UtcTime, plain_text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _staged_keys()
    _acquirer_profile()


def _staged_keys() -> None:
    op.create_table(
        "staged_keys",
        sa.Column("acquirer", plain_text(), primary_key=True, nullable=False),
        sa.Column("fingerprint", plain_text(), primary_key=True, nullable=False),
        sa.Column("line", plain_text(), nullable=False),
        sa.Column("valid_from", UtcTime(), nullable=False),
        sa.Column("valid_until", UtcTime(), nullable=False),
        sa.Column("state", plain_text(), nullable=False),
        sa.Column("staged_by", plain_text(), nullable=False),
        sa.Column("staged_at", UtcTime(), nullable=False),
        sa.Column("approved_by", plain_text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )


def _acquirer_profile() -> None:
    op.create_table(
        "acquirer_profile",
        sa.Column("acquirer", plain_text(), primary_key=True, nullable=False),
        sa.Column("probed_at", UtcTime(), nullable=False),
        sa.Column("host_key", plain_text(), nullable=False),
        sa.Column("found", JsonText(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
