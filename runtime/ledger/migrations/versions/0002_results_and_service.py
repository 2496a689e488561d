"""The tables of results, mismatches and decisions, and those of the service itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runtime.ledger.types import JsonText, UtcTime, plain_text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _sightings()
    _results()
    _result_books()
    _mismatches()
    _decisions()
    _firings()
    _audit()
    _leases()
    _notices()
    _clock()


def _sightings() -> None:
    op.create_table(
        "sightings",
        sa.Column("acquirer", plain_text(), primary_key=True, nullable=False),
        sa.Column("name", plain_text(), primary_key=True, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("modified_s", sa.BigInteger(), nullable=False),
        sa.Column("state", plain_text(), nullable=False),
        sa.Column("sha256", plain_text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )


def _results() -> None:
    op.create_table(
        "results",
        sa.Column("acquirer", plain_text(), primary_key=True, nullable=False),
        sa.Column("sha256", plain_text(), primary_key=True, nullable=False),
        sa.Column("name", plain_text(), nullable=False),
        sa.Column("key", plain_text(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("collected_at", UtcTime(), nullable=False),
        sa.Column("state", plain_text(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("control", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("unreadable", sa.BigInteger(), nullable=False),
        sa.Column("reported_sha256", plain_text(), nullable=False),
        sa.Column("reconciled", sa.Boolean(), nullable=False),
        sa.Column("note", plain_text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_results_state", "results", ["acquirer", "state"])


def _result_books() -> None:
    op.create_table(
        "result_books",
        sa.Column("acquirer", plain_text(), primary_key=True, nullable=False),
        sa.Column("sha256", plain_text(), primary_key=True, nullable=False),
        sa.Column("file_id", plain_text(), primary_key=True, nullable=False),
        sa.Column("applied", sa.BigInteger(), nullable=False),
        sa.Column("unknown", sa.BigInteger(), nullable=False),
        sa.Column("duplicate", sa.BigInteger(), nullable=False),
        sa.Column("ambiguous", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )


def _mismatches() -> None:
    op.create_table(
        "mismatches",
        sa.Column("id", plain_text(), primary_key=True, nullable=False),
        sa.Column("acquirer", plain_text(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("kind", plain_text(), nullable=False),
        sa.Column("state", plain_text(), nullable=False),
        sa.Column("opened_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("file_id", plain_text(), nullable=False),
        sa.Column("payment_id", plain_text(), nullable=False),
        sa.Column("reference", plain_text(), nullable=False),
        sa.Column("result_sha256", plain_text(), nullable=False),
        sa.Column("expected_minor", sa.BigInteger(), nullable=True),
        sa.Column("reported_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", plain_text(), nullable=False),
        sa.Column("direction", plain_text(), nullable=False),
        sa.Column("detail", JsonText(), nullable=False),
        sa.Column("closed_at", UtcTime(), nullable=True),
        sa.Column("assignee", plain_text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_mismatches_file", "mismatches", ["file_id"])
    op.create_index("ix_mismatches_kind", "mismatches", ["kind", "id"])
    op.create_index("ix_mismatches_state", "mismatches", ["state", "id"])


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", plain_text(), primary_key=True, nullable=False),
        sa.Column("subject", plain_text(), nullable=False),
        sa.Column("act", plain_text(), nullable=False),
        sa.Column("actor", plain_text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("decided_at", UtcTime(), nullable=False),
        sa.Column("detail", JsonText(), nullable=False),
    )


def _firings() -> None:
    op.create_table(
        "firings",
        sa.Column("name", plain_text(), primary_key=True, nullable=False),
        sa.Column("fired_at", UtcTime(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("chain", plain_text(), primary_key=True, nullable=False),
        sa.Column("seq", sa.BigInteger(), primary_key=True, nullable=False),
        sa.Column("recorded_at", UtcTime(), nullable=False),
        sa.Column("actor", plain_text(), nullable=False),
        sa.Column("act", plain_text(), nullable=False),
        sa.Column("body", plain_text(), nullable=False),
        sa.Column("previous", plain_text(), nullable=False),
        sa.Column("hash", plain_text(), nullable=False),
    )


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column("name", plain_text(), primary_key=True, nullable=False),
        sa.Column("holder", plain_text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
    )


def _notices() -> None:
    op.create_table(
        "notices",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("queue", plain_text(), nullable=False),
        sa.Column("body", plain_text(), nullable=False),
        sa.Column("visible_ms", sa.BigInteger(), nullable=False),
        sa.Column("receives", sa.Integer(), nullable=False),
        sa.Column("receipt", plain_text(), nullable=False),
    )
    op.create_index("ix_notices_queue", "notices", ["queue", "visible_ms"])


def _clock() -> None:
    op.create_table(
        "clock",
        sa.Column("id", sa.Integer(), primary_key=True, nullable=False),
        sa.Column("now_at", UtcTime(), nullable=False),
        sa.Column("tick", sa.BigInteger(), nullable=False),
    )
