"""Payments and headers to write in the tests of the formats."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from formats.header import FileHeader
from payments.currencies import MINOR_UNITS
from payments.tables import CURATED
from payments.totals import total_of_columns

DEFAULTS: dict[str, Any] = {
    "direction": "CRDT",
    "amount_minor": 12345,
    "currency": "EUR",
    "requested_date": date(2026, 3, 2),
    "debtor_name": "Paying Company",
    "debtor_account": "DE89370400440532013000",
    "debtor_agent": "COBADEFFXXX",
    "creditor_name": "Receiving Company",
    "creditor_account": "FR1420041010050500013M02606",
    "creditor_agent": "BNPAFRPP",
    "purpose": None,
    "remittance_unstructured": None,
}


@pytest.fixture
def table_of() -> Callable[..., pa.Table]:
    """A table of CURATED columns from one dict per payment; what a dict does not say is a sound default."""

    def build(*rows: dict[str, Any]) -> pa.Table:
        full = []
        for number, row in enumerate(rows, 1):
            values = {"payment_id": f"{number:032x}", "end_to_end_id": f"REF{number}", **DEFAULTS, **row}
            full.append({"minor_unit": MINOR_UNITS.get(values["currency"], 2), **values})
        return pa.table({name: pa.array([row[name] for row in full], CURATED.field(name).type) for name in full[0]})

    return build


@pytest.fixture
def header() -> Callable[..., FileHeader]:
    """A header that claims exactly the payments of a table."""

    def build(table: pa.Table, **changes: Any) -> FileHeader:
        no_hashes = pa.array([], pa.binary(32))
        values: dict[str, Any] = {
            "acquirer": "northbank",
            "name": "northbank_20260302_000001_1.csv",
            "message_id": "0123456789abcdef01234567",
            "sequence": 1,
            "business_date": date(2026, 3, 2),
            "created_at": datetime(2026, 3, 2, 6, 0, 0, 987654, tzinfo=UTC),
            "total": total_of_columns(table["amount_minor"], table["currency"], table["direction"], no_hashes),
            "initiating_party": "Tieout",
        }
        return FileHeader(**(values | changes))

    return build
