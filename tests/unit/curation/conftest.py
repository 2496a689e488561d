"""One good payment as a source gives it, and ways to curate variations of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from curation.chunk import CuratedChunk, curate_chunk
from curation.reference import ReferenceColumns
from payments.config import Curation, SourceSection
from payments.keys import ChunkKey
from payments.rowhash import row_identity

DAY = date(2026, 3, 2)
GOOD = {
    "PAY_NO": "P1",
    "REV": "1",
    "ORDER_REF": "INV-1",
    "DRCR": "C",
    "AMT": "12.50",
    "CCY": "EUR",
    "EXEC_DT": "02.03.2026",
    "DEBTOR_NM": "Example Trading",
    "DEBTOR_ACCT": "DE89370400440532013000",
    "DEBTOR_BIC": "DEUTDEFF",
    "PAYEE_NM": "Sample Payee",
    "PAYEE_ACCT": "FR1420041010050500013M02606",
    "PAYEE_BIC": "BNPAFRPPXXX",
    "PURP": "SUPP",
    "NOTE": "Invoice 1",
    "STATE": "A",
}
COLUMNS = {
    "source_version": "REV",
    "end_to_end_id": "ORDER_REF",
    "direction": "DRCR",
    "amount": "AMT",
    "currency": "CCY",
    "requested_date": "EXEC_DT",
    "debtor_name": "DEBTOR_NM",
    "debtor_account": "DEBTOR_ACCT",
    "debtor_agent": "DEBTOR_BIC",
    "creditor_name": "PAYEE_NM",
    "creditor_account": "PAYEE_ACCT",
    "creditor_agent": "PAYEE_BIC",
    "purpose": "PURP",
    "remittance_unstructured": "NOTE",
}
SOURCE = {
    "name": "legacy",
    "url": "sqlite:legacy.db",
    "table": "JOURNAL",
    "primary_key": ["PAY_NO"],
    "watermark": "REV",
    "columns": COLUMNS,
    "values": {"direction": {"C": "CRDT", "D": "DBIT"}},
    "date_format": "%d.%m.%Y",
    "stopped": {"column": "STATE", "values": ["S"]},
}

Row = dict[str, str | None]
Curate = Callable[..., CuratedChunk]


class Bench:
    """Curates rows given as their differences from the good one; each row is a payment of its own unless it says otherwise."""

    good = GOOD
    columns = COLUMNS
    day = DAY

    def source(self, **changes: Any) -> SourceSection:
        return msgspec.convert({**SOURCE, **changes}, SourceSection)

    def raw(self, rows: list[Row], source: SourceSection | None = None) -> pa.Table:
        numbered = [{**GOOD, "PAY_NO": f"P{i}", "ORDER_REF": f"INV-{i}", **row} for i, row in enumerate(rows)]
        names = dict.fromkeys(name for row in [GOOD, *numbered] for name in row)
        raw = pa.table({name: pa.array([row.get(name) for row in numbered], pa.string()) for name in names})
        return self.identified(raw, source or self.source())

    def identified(self, raw: pa.Table, source: SourceSection) -> pa.Table:
        ids, hashes = row_identity(raw, source)
        return raw.append_column("_payment_id", pa.array(ids, pa.string())).append_column("_row_hash", hashes)

    def curate(
        self,
        rows: list[Row] | pa.Table,
        *,
        reference: ReferenceColumns | None = None,
        source: dict[str, Any] | None = None,
        **curation: Any,
    ) -> CuratedChunk:
        section = self.source(**(source or {}))
        raw = rows if isinstance(rows, pa.Table) else self.raw(rows, section)
        rules = msgspec.convert({"route": [{"acquirer": "northbank"}], **curation}, Curation)
        key = ChunkKey("legacy", DAY, 3, 7)
        return curate_chunk(raw, key=key, source=section, curation=rules, reference=reference, business_date=DAY)

    def codes(self, rows: list[Row] | pa.Table, **how: Any) -> list[list[str]]:
        """For each row its reason codes; an empty list for a curated one."""
        chunk = self.curate(rows, **how)
        found: list[list[str]] = [[] for _ in range(len(chunk.curated) + len(chunk.quarantine))]
        for each in chunk.quarantine.to_pylist():
            found[each["row"]] = [reason["code"] for reason in each["reasons"]]
        return found


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench()
