"""Puts payments of one account and execution date next to each other, so that a message needs one group for them, not many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from formats import rows as rows_module
from formats.pain001 import DIALECTS as PAIN001
from formats.pain008 import DIALECT as PAIN008


def grouped(format: str, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:  # noqa: A002  (the configuration's word)
    """The same rows, block after block; within a block of as many rows as a writer takes at a time, group after group.

    A writer ends its groups with its batch: sorting further would need the whole file in memory and win nothing.
    """
    dialect = PAIN008 if format == PAIN008.format else PAIN001["pain.001.001.09"]
    keys = [(name, "ascending") for name in dialect.grouped_by]
    for block in _blocks(tables):
        # Stable: within a group the payments keep their order.
        yield block.take(pc.sort_indices(block, sort_keys=keys))


def _blocks(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    size, waiting, rows = rows_module.ROWS_PER_BATCH, [], 0
    for table in tables:
        waiting.append(table)
        rows += len(table)
        while rows >= size:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, size)
            waiting, rows = [joined.slice(size)], rows - size
    if rows:
        yield pa.concat_tables(waiting)
