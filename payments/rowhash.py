"""Identity of raw rows: the payment_id of each, and the hash of all its values.

Values are joined into one text that no other values give: U+001F between them, U+001E 2 for null (which is not empty), and
where a value itself holds U+001E or U+001F, these are written U+001E 0 and U+001E 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from payments.config import SourceSection
from payments.errors import WrongConfiguration
from payments.keys import SEPARATOR, payment_ids
from payments.source_columns import canonical_text
from payments.tables import HASH, RAW_EXTRA

ESCAPE = "\x1e"
ESCAPES = ((ESCAPE, f"{ESCAPE}0"), (SEPARATOR, f"{ESCAPE}1"))
NULL = f"{ESCAPE}2"


def row_identity(raw: pa.Table, source: SourceSection) -> tuple[list[str], pa.Array]:
    """payment_ids (32 hex digits each) and row hashes (binary(32)) of n raw rows.

    A row hash covers source, table, column names and every value; columns that tables.RAW_EXTRA adds are left out.
    Raises WrongConfiguration when a primary-key column is missing.
    """
    keys = primary_key_text(raw, source).to_pylist()
    names = [name for name in raw.column_names if name not in RAW_EXTRA.names]
    texts = [canonical_text(raw[name]) for name in names]
    hashes = hash_rows(texts, meaning=(source.name, source.table, *names))
    return payment_ids(source.name, source.table, keys), hashes


def primary_key_text(raw: pa.Table, source: SourceSection) -> pa.Array:
    """The primary key of each row as one text (string, never null). Raises WrongConfiguration for a missing column."""
    for name in source.primary_key:
        if name not in raw.column_names:
            raise WrongConfiguration(
                f"source {source.name}: primary_key names {name!a}, which table {source.table!a} does not have",
                next_step=f"The table has: {', '.join(sorted(raw.column_names))}.",
            )
    return pc.cast(_joined([canonical_text(raw[name]) for name in source.primary_key]), pa.string())


def key_values(text: str) -> list[str | None]:
    """The values that `primary_key_text` joined, in its order; None for null."""
    values = [None if part == NULL else part for part in text.split(SEPARATOR)]
    for character, replacement in reversed(ESCAPES):
        values = [None if value is None else value.replace(replacement, character) for value in values]
    return values


def hash_rows(texts: Sequence[pa.Array], *, meaning: Sequence[str]) -> pa.Array:
    """One BLAKE2b-256 (binary(32)) per row over m string columns of n rows each; `meaning` says what they are columns of.

    The meaning goes in as the person parameter of RFC 7693 (its own BLAKE2b-128), at no cost per row.
    """
    named = "".join(f"{len(part)}:{part}" for part in meaning)
    person = hashlib.blake2b(named.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    joined = _joined(texts)
    if len(joined) == 0:
        return pa.array([], HASH)
    data = memoryview(joined.buffers()[2] or b"")
    empty = hashlib.blake2b(digest_size=32, person=person)
    digests = []
    for start, end in pairwise(_ends(joined).tolist()):
        each = empty.copy()
        each.update(data[start:end])
        digests.append(each.digest())
    return pa.array(digests, HASH)


def _joined(texts: Sequence[pa.Array]) -> pa.Array:
    """The values of each row as one large_string (chunks of long values may exceed 2 GiB)."""
    joined = _plainly_joined(texts)
    if len(joined) == 0:
        return joined
    # Almost never does a value hold one of the two characters: then they are exactly as many as we wrote.
    ends = _ends(joined)
    data = np.frombuffer(joined.buffers()[2] or b"", dtype=np.uint8)[ends[0] : ends[-1]]
    nulls = sum(text.null_count for text in texts)
    separators = (len(texts) - 1) * len(joined)
    if np.count_nonzero(data == ord(ESCAPE)) == nulls and np.count_nonzero(data == ord(SEPARATOR)) == separators:
        return joined
    for character, replacement in ESCAPES:
        texts = [pc.replace_substring(text, character, replacement) for text in texts]
    return _plainly_joined(texts)


def _plainly_joined(texts: Sequence[pa.Array]) -> pa.Array:
    large = [pc.cast(text, pa.large_string()) for text in texts]
    separator = pa.scalar(SEPARATOR, pa.large_string())
    return pc.binary_join_element_wise(*large, separator, null_handling="replace", null_replacement=NULL)


def _ends(joined: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The n + 1 byte offsets of n large texts."""
    return np.frombuffer(joined.buffers()[1], dtype=np.int64)[joined.offset : joined.offset + len(joined) + 1]
