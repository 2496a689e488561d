"""Columns of a source as text, and its codes translated to ours: what control totals and curation both start from.

Text is canonical: equal values give equal text on every machine, a number is never written with an exponent, a time is
UTC and ends in `Z`. Null stays null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from payments.config import SourceSection
from payments.errors import WrongConfiguration

ARROW_SCALE_PLAIN_MAX = 6  # with more decimals Arrow writes small numbers with an exponent


def canonical_text(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Any column as an Arrow string array."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = array.type
    if pa.types.is_string(kind):
        return array
    if pa.types.is_decimal(kind) and kind.scale > ARROW_SCALE_PLAIN_MAX:
        plain = [None if each is None else f"{Decimal(each):f}" for each in pc.cast(array, pa.string()).to_pylist()]
        return pa.array(plain, pa.string())
    if pa.types.is_timestamp(kind):
        # Without the zone Arrow needs no zone database to write it: the stored value is UTC already.
        naive = pc.cast(pc.cast(array, pa.timestamp("us", tz=kind.tz)), pa.timestamp("us"))
        return pc.binary_join_element_wise(pc.cast(naive, pa.string()), "Z" if kind.tz else "", "")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.array([None if each is None else f"0x{each.hex()}" for each in array.to_pylist()], pa.string())
    return pc.cast(array, pa.string())


def source_column(raw: pa.Table, source: SourceSection, name: str) -> pa.ChunkedArray | None:
    """The column of the source that holds our `name`, or None when none is mapped. Raises WrongConfiguration."""
    theirs = source.columns.get(name)
    if theirs is None:
        return None
    if theirs not in raw.column_names:
        raise WrongConfiguration(
            f"source {source.name}: columns.{name} names {theirs!a}, which table {source.table!a} does not have",
            next_step=f"The table has: {', '.join(sorted(raw.column_names))}.",
        )
    return raw[theirs]


def given_text(raw: pa.Table, source: SourceSection, name: str) -> pa.Array | None:
    """Our column `name` as the source gives it: its column as text, else its constant, else None."""
    column = source_column(raw, source, name)
    if column is not None:
        return canonical_text(column)
    constant = source.constants.get(name)
    return None if constant is None else pa.repeat(pa.scalar(constant, pa.string()), len(raw))


def translated(given: pa.Array, translate: Callable[[str], str | None]) -> pa.Array:
    """`translate` over the distinct values only; it never sees a null."""
    coded = given.dictionary_encode()
    ours = [None if each is None else translate(each) for each in coded.dictionary.to_pylist()]
    return pa.array(ours, pa.string()).take(coded.indices)


def code_from(codes: Mapping[str, str], given: str) -> str:
    """What a table of codes says of a value: exactly, else without outer blanks and case; else the value in upper case."""
    if given in codes:
        return codes[given]
    bare = given.strip()
    folded = {key.strip().casefold(): value for key, value in codes.items()}
    return folded.get(bare.casefold(), bare.upper())
