"""The first tables of the ledger: runs and files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runtime.ledger.types import JsonText, TotalText, UtcTime, plain_text

revision = "0001"
down_revision = None


def upgrade() -> None:
    _runs()
    _chunks()
    _watermarks()
    _assemblies()
    _sequences()
    _files()
    _attempts()
    _receipts()


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("source", plain_text(), primary_key=True, nullable=False),
        sa.Column("ordinal", sa.BigInteger(), primary_key=True, nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("state", plain_text(), nullable=False),
        sa.Column("lower", JsonText(), nullable=True),
        sa.Column("upper", JsonText(), nullable=False),
        sa.Column("opened_at", UtcTime(), nullable=False),
        sa.Column("config_hash", plain_text(), nullable=False),
        sa.Column("closed_at", UtcTime(), nullable=True),
        sa.Column("chunks", sa.BigInteger(), nullable=False),
        sa.Column("chunks_open", sa.BigInteger(), nullable=False),
        sa.Column("extracted", TotalText(), nullable=False),
        sa.Column("curated", TotalText(), nullable=False),
        sa.Column("quarantined", TotalText(), nullable=False),
        sa.Column("assembly", sa.BigInteger(), nullable=True),
        sa.Column("note", plain_text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_runs_state", "runs", ["state"])


def _chunks() -> None:
    op.create_table(
        "chunks",
        sa.Column("source", plain_text(), primary_key=True, nullable=False),
        sa.Column("run", sa.BigInteger(), primary_key=True, nullable=False),
        sa.Column("ordinal", sa.BigInteger(), primary_key=True, nullable=False),
        sa.Column("state", plain_text(), nullable=False),
        sa.Column("lower", JsonText(), nullable=True),
        sa.Column("upper", JsonText(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("raw_sha256", plain_text(), nullable=False),
        sa.Column("curated_sha256", plain_text(), nullable=False),
        sa.Column("quarantine_sha256", plain_text(), nullable=False),
        sa.Column("extracted", TotalText(), nullable=False),
        sa.Column("curated", TotalText(), nullable=False),
        sa.Column("quarantined", TotalText(), nullable=False),
        sa.Column("note", plain_text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )


def _watermarks() -> None:
    op.create_table(
        "watermarks",
        sa.Column("source", plain_text(), primary_key=True, nullable=False),
        sa.Column("position", JsonText(), nullable=True),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )


def _assemblies() -> None:
    op.create_table(
        "assemblies",
        sa.Column("ordinal", sa.BigInteger(), primary_key=True, nullable=False),
        sa.Column("state", plain_text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("config_hash", plain_text(), nullable=False),
        sa.Column("plan", JsonText(), nullable=False),
        sa.Column("outcomes", JsonText(), nullable=False),
        sa.Column("pool", TotalText(), nullable=False),
        sa.Column("pool_sha256", plain_text(), nullable=False),
        sa.Column("index_sha256", plain_text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )


def _sequences() -> None:
    op.create_table(
        "sequences",
        sa.Column("name", plain_text(), primary_key=True, nullable=False),
        sa.Column("next_value", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )


def _files() -> None:
    op.create_table(
        "files",
        sa.Column("file_id", plain_text(), primary_key=True, nullable=False),
        sa.Column("acquirer", plain_text(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("window", plain_text(), nullable=False),
        sa.Column("split", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("name", plain_text(), nullable=False),
        sa.Column("format", plain_text(), nullable=False),
        sa.Column("state", plain_text(), nullable=False),
        sa.Column("assembly", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("config_hash", plain_text(), nullable=False),
        sa.Column("total", TotalText(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", plain_text(), nullable=False),
        sa.Column("expected_sha256", plain_text(), nullable=False),
        sa.Column("held", plain_text(), nullable=False),
        sa.Column("overdue", sa.Boolean(), nullable=False),
        sa.Column("replaces", plain_text(), nullable=False),
        sa.Column("returned_in", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", UtcTime(), nullable=True),
        sa.Column("delivered_at", UtcTime(), nullable=True),
        sa.Column("results_due_at", UtcTime(), nullable=True),
        sa.Column("matched", TotalText(), nullable=False),
        sa.Column("mismatched", TotalText(), nullable=False),
        sa.Column("awaiting", TotalText(), nullable=False),
        sa.Column("matched_key", plain_text(), nullable=False),
        sa.Column("note", plain_text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_files_acquirer_state", "files", ["acquirer", "state"])
    op.create_index("ix_files_name", "files", ["acquirer", "name"])


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("file_id", plain_text(), primary_key=True, nullable=False),
        sa.Column("attempt", sa.BigInteger(), primary_key=True, nullable=False),
        sa.Column("state", plain_text(), nullable=False),
        sa.Column("temporary_name", plain_text(), nullable=False),
        sa.Column("holder", plain_text(), nullable=False),
        sa.Column("started_at", UtcTime(), nullable=False),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.Column("error", plain_text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )


def _receipts() -> None:
    op.create_table(
        "receipts",
        sa.Column("file_id", plain_text(), primary_key=True, nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("remote_path", plain_text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", plain_text(), nullable=False),
        sa.Column("verified_by", plain_text(), nullable=False),
        sa.Column("host_key", plain_text(), nullable=False),
        sa.Column("delivered_at", UtcTime(), nullable=False),
    )
