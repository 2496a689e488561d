"""Map the source's columns to ours: every value as trimmed text, null where there is nothing, money and dates as values.

Nothing is judged here: what cannot be read is null, and the rules say why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.dates import read_dates
from curation.iban import IbanFault, canonical_account, iban_faults
from curation.our_columns import OUR_COLUMNS, TEXT_COLUMNS
from payments.config import SourceSection
from payments.errors import Unreadable, WrongConfiguration
from payments.keys import derived_reference
from payments.money_columns import MoneyColumns, read_money
from payments.source_columns import canonical_text, given_text, source_column, translated
from payments.tables import RAW_EXTRA

ACCOUNTS = ("debtor_account", "creditor_account")
CODES = ("debtor_agent", "creditor_agent", "creditor_country", "purpose", "category_purpose", "charge_bearer")

NO_TEXT = pa.nulls(1, pa.string())[0]  # pa.scalar looks for pandas: not while this is imported
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rows:
    """One chunk in our terms: every array has one entry per raw row.

    `text` holds TEXT_COLUMNS and end_to_end_id (string, nullable, never empty); `requested_date` is date32. The masks say where
    the source gave a date or version that cannot be read, which accounts are wrong and how, and which rows are stop rows.
    """

    payment_id: pa.Array
    row_hash: pa.Array
    text: Mapping[str, pa.Array]
    money: MoneyColumns
    direction_mapped: bool
    requested_date: pa.Array
    source_version: pa.Array
    version_unreadable: Bools
    stopped: Bools
    account_faults: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.payment_id)


def map_columns(raw: pa.Table, source: SourceSection, *, business_date: date) -> Rows:
    """Read a raw chunk as `source` describes it. Without a column for it, the requested date is the business date.

    Raises Unreadable for a table that is no raw chunk, WrongConfiguration for names that neither we nor the table know.
    """
    _check_names(raw, source)
    payment_id = canonical_text(raw["_payment_id"])
    text = {name: _text(raw, source, name) for name in TEXT_COLUMNS}
    faults = {name: iban_faults(text[name]) for name in ACCOUNTS}
    if "creditor_country" not in {*source.columns, *source.constants}:
        text["creditor_country"] = _country_of(text["creditor_account"], faults["creditor_account"])
    reference = _text(raw, source, "end_to_end_id")
    if "end_to_end_id" not in source.columns:
        reference = pa.array([derived_reference(each) for each in payment_id.to_pylist()], pa.string())
    version, version_unreadable = _versions(raw, source)
    return Rows(
        payment_id=payment_id,
        row_hash=raw["_row_hash"].combine_chunks(),
        text={**text, "end_to_end_id": reference},
        money=read_money(raw, source),
        direction_mapped="direction" in {*source.columns, *source.constants},
        requested_date=read_dates(raw, source, business_date=business_date),
        source_version=version,
        version_unreadable=version_unreadable,
        stopped=_stopped(raw, source),
        account_faults=faults,
    )


def _check_names(raw: pa.Table, source: SourceSection) -> None:
    missing = [name for name in RAW_EXTRA.names if name not in raw.column_names]
    if missing:
        raise Unreadable(
            f"a raw chunk of source {source.name} has no column {missing[0]}: it was not written by extract"
        )
    for part in ("columns", "values", "constants"):
        unknown = sorted(set(getattr(source, part)) - OUR_COLUMNS)
        if unknown:
            raise WrongConfiguration(
                f"source {source.name}: {part} names {unknown[0]!a}, which is no column of ours",
                next_step=f"Our columns are: {', '.join(sorted(OUR_COLUMNS))}.",
            )


def _text(raw: pa.Table, source: SourceSection, name: str) -> pa.Array:
    """One column: the source's codes translated, outer blanks dropped, empty as null, accounts and codes in canonical form."""
    given = given_text(raw, source, name)
    if given is None:
        return pa.nulls(len(raw), pa.string())
    codes = source.values.get(name)
    if codes:
        given = translated(given, lambda value: codes.get(value, codes.get(value.strip(), value)))
    text = pc.utf8_trim_whitespace(given)
    if name in ACCOUNTS:
        text = canonical_account(text)
    elif name in CODES:
        text = pc.ascii_upper(text)
    empty = pc.equal(pc.binary_length(text), 0)
    return pc.if_else(empty, NO_TEXT, text) if pc.any(empty).as_py() else text


def _country_of(account: pa.Array, faults: npt.NDArray[np.uint8]) -> pa.Array:
    """The country of a valid IBAN."""
    valid = pa.array(faults == IbanFault.NONE)
    return pc.if_else(valid, pc.utf8_slice_codeunits(account, 0, 2), NO_TEXT)


def _versions(raw: pa.Table, source: SourceSection) -> tuple[pa.Array, Bools]:
    """int64, from an integer or its text; a time counts as microseconds since 1970. The mask: given, but no such number."""
    column = source_column(raw, source, "source_version")
    if column is None:
        return pa.nulls(len(raw), pa.int64()), np.zeros(len(raw), dtype=bool)
    if pa.types.is_timestamp(column.type):
        column = pc.cast(pc.cast(column, pa.timestamp("us", tz=column.type.tz)), pa.int64())
    text = pc.utf8_trim_whitespace(canonical_text(column))
    # 18 digits always fit int64.
    is_number = pc.fill_null(pc.match_substring_regex(text, r"^-?[0-9]{1,18}$"), False)
    version = pc.cast(pc.if_else(is_number, text, NO_TEXT), pa.int64())
    given = pc.fill_null(pc.not_equal(text, ""), False)
    return version, pc.and_not(given, is_number).to_numpy(zero_copy_only=False)


def _stopped(raw: pa.Table, source: SourceSection) -> Bools:
    if source.stopped is None:
        return np.zeros(len(raw), dtype=bool)
    if source.stopped.column not in raw.column_names:
        raise WrongConfiguration(
            f"source {source.name}: stopped.column names {source.stopped.column!a}, which table {source.table!a} does not have",
            next_step=f"The table has: {', '.join(sorted(raw.column_names))}.",
        )
    given = pc.utf8_trim_whitespace(canonical_text(raw[source.stopped.column]))
    mask: Bools = pc.is_in(given, value_set=pa.array(source.stopped.values, pa.string())).to_numpy(zero_copy_only=False)
    return mask
