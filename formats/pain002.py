"""Reads an ISO 20022 pain.002 (CustomerPaymentStatusReport) of any version, by local names, in any namespace or none.

    OrgnlGrpInfAndSts     one control row, GRP: the state of our whole file
    OrgnlPmtInfAndSts     one control row, PMTINF, where it has a status of its own
    TxInfAndSts           one event, TX

The elements are read as they pass by, no tree is built: memory stays flat. A DOCTYPE is refused before anything it declares is
used. The schema is not asked: most reports that banks send break it and can be read all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa

from formats.pain002_elements import Report
from formats.reported import Reading, not_readable
from formats.stated import Origin, reported

BLOCK_BYTES = 256 * 1024
BLOCKS_PER_BATCH_MAX = 64  # bounds the texts that wait, however long a single one is
ROWS_PER_BATCH = 20_000
REQUIRED: frozenset[str] = frozenset({"end_to_end_id"})


def read_pain002(path: Path, zone: ZoneInfo) -> Reading:
    """Raises Unreadable when the file is empty, not well-formed XML, has a DOCTYPE, or is another message."""
    return Reading(path.name, lambda reading: _batches(reading, path, zone))


def _batches(reading: Reading, path: Path, zone: ZoneInfo) -> Iterator[pa.RecordBatch]:
    report = Report(reading, zone)
    for block in _fed(report, path):
        if len(report.rows) >= ROWS_PER_BATCH or (len(report.rows) and block % BLOCKS_PER_BATCH_MAX == 0):
            yield reported(report.rows.take(), _origin(report, zone))
    if len(report.rows):
        yield reported(report.rows.take(), _origin(report, zone))
    report.finish()


def _fed(report: Report, path: Path) -> Iterator[int]:
    """Feed the file to the report block by block, pausing behind each with its number from 1."""
    from lxml import etree

    parser = etree.XMLParser(
        target=report, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False
    )
    try:
        with path.open("rb") as file:
            for number, block in enumerate(iter(lambda: file.read(BLOCK_BYTES), b""), 1):
                parser.feed(block)
                yield number
        parser.close()
    except etree.XMLSyntaxError as error:
        # Not chained: the library's text may quote the file.
        raise not_readable(report.reading.name, f"it is not well-formed XML at line {error.lineno}") from None


def _origin(report: Report, zone: ZoneInfo) -> Origin:
    return Origin(
        required=REQUIRED, zone=zone, original_msg_id=report.reading.original_msg_id, stated_at=report.created_at
    )
