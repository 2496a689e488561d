"""The reference table: a CSV file read once and joined to every payment."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.iban import canonical_account
from curation.mapping import ACCOUNTS, CODES
from curation.our_columns import MATCHED_COLUMNS
from payments.config import ReferenceTable
from payments.errors import WrongConfiguration

BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReferenceColumns:
    """The table as two string arrays of equal length; `keys` are distinct. `match` is our column that is looked up.

    `sha256` is that of the file it was read from.
    """

    match: str
    keys: pa.Array
    taken: pa.Array
    required: bool
    sha256: str = ""


def read_reference(table: ReferenceTable, data: bytes) -> ReferenceColumns:
    """Read the CSV file of `curation.reference_table` (UTF-8, comma, header). Raises WrongConfiguration, naming the line."""
    place = f"curation.reference_table {table.path!a}"
    if len(data) > BYTES_MAX:
        raise WrongConfiguration(f"{place} has more than {BYTES_MAX} bytes")
    digest = hashlib.sha256(data).hexdigest()
    if table.sha256 not in {"", digest}:
        raise WrongConfiguration(
            f"{place} is not the file that curation.reference_table.sha256 names",
            next_step="Put that file back; for a new one name its SHA-256, or deploy again.",
        )
    if table.match not in MATCHED_COLUMNS:
        raise WrongConfiguration(
            f"curation.reference_table.match names {table.match!a}, which is no text column of ours",
            next_step=f"It may name: {', '.join(MATCHED_COLUMNS)}.",
        )
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig")), strict=True)
        found = _entries(reader, table, place)
    except (UnicodeDecodeError, csv.Error) as error:
        raise WrongConfiguration(f"{place} is not CSV in UTF-8: {type(error).__name__}") from error
    keys = pa.array(found.keys(), pa.string())
    return ReferenceColumns(table.match, keys, pa.array(found.values(), pa.string()), table.required, digest)


def _entries(reader: csv.DictReader[str], table: ReferenceTable, place: str) -> dict[str, str]:
    header = reader.fieldnames or []
    for name in (table.key, table.take):
        if name not in header:
            raise WrongConfiguration(f"{place} has no column {name!a}", next_step=f"It has: {', '.join(header)}.")
    found: dict[str, str] = {}
    for row in reader:
        key, taken = row[table.key], row[table.take]
        if key is None or taken is None or not key.strip():
            raise WrongConfiguration(f"{place}, line {reader.line_num}: the key or the value is missing")
        canonical = _canonical(key.strip(), table.match)
        if found.setdefault(canonical, taken.strip()) != taken.strip():
            raise WrongConfiguration(f"{place}, line {reader.line_num}: this key stands there twice with two values")
    return found


def _canonical(key: str, match: str) -> str:
    """The form that curation gives to values of our column."""
    if match in ACCOUNTS:
        return str(canonical_account(pa.array([key]))[0])
    return key.upper() if match in CODES else key


def looked_up(reference: ReferenceColumns, values: pa.Array) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """What the table says of n values (string, null where nothing), and the mask of those it knows."""
    place = pc.index_in(values, value_set=reference.keys)
    known: npt.NDArray[np.bool_] = pc.is_valid(place).to_numpy(zero_copy_only=False)
    return reference.taken.take(place), known
