"""The columns of what a result file was wrapped in: its content, who signed it, and why its word is no evidence."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runtime.ledger.types import UtcTime, plain_text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for name in ("content_sha256", "signed_by", "disputed"):
        op.add_column("results", sa.Column(name, plain_text(), nullable=False, server_default=""))
    op.add_column("results", sa.Column("number", sa.BigInteger(), nullable=True))
    op.add_column("results", sa.Column("signed_at", UtcTime(), nullable=True))
