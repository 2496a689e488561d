"""Reading an outbound file back: the same payments, and every change of its bytes shows."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from formats.header import FileHeader
from formats.outbound import write_file
from formats.recount import Fingerprint, Recounted, control_sum_holds, recount
from payments.errors import Unreadable, WrongConfiguration

FORMATS = ("delimited", "pain.001.001.09")
ROWS: tuple[dict[str, Any], ...] = (
    {"end_to_end_id": "A-1", "amount_minor": 504},
    {"end_to_end_id": 'B,"2"', "amount_minor": 7, "currency": "JPY", "creditor_name": 'Two\nlines, "quoted"'},
    {"end_to_end_id": "C<&>3", "amount_minor": 100_000_000_000, "requested_date": date(2026, 3, 4)},
    {"end_to_end_id": "D-4", "amount_minor": 1, "currency": "KWD", "debtor_account": "DE02120300000000202051"},
)


@pytest.fixture
def written(
    tmp_path: Path, table_of: Callable[..., pa.Table], header: Callable[..., FileHeader]
) -> Callable[[str], Path]:
    def write(format_: str) -> Path:
        table = table_of(*ROWS)
        sink = io.BytesIO()
        write_file(format_, header(table), [table], sink)
        path = tmp_path / "file"
        path.write_bytes(sink.getvalue())
        return path

    return write


def expected(rows: tuple[dict[str, Any], ...]) -> str:
    fingerprint = Fingerprint()
    for row in rows:
        day = row.get("requested_date", date(2026, 3, 2)).isoformat()
        fingerprint.add(row["end_to_end_id"], "CRDT", row["amount_minor"], row.get("currency", "EUR"), day)
    return fingerprint.value


@pytest.mark.parametrize("format_", FORMATS)
def test_what_was_written_is_read_back(written: Callable[[str], Path], format_: str) -> None:
    """Count, sums and every payment in its order come back from the bytes, and the file's own claims hold."""
    found = recount(format_, written(format_))
    assert found.count == 4
    assert found.sums == {"EUR/CRDT": 100_000_000_504, "JPY/CRDT": 7, "KWD/CRDT": 1}
    assert found.fingerprint.value == expected(ROWS)
    assert found.groups_off == 0
    assert control_sum_holds(found)
    assert found.stated["message id"] == "0123456789abcdef01234567"
    assert found.stated["count"] == "4"
    if format_ == "delimited":
        assert found.stated["sums"] == found.sums
        assert (found.stated["sequence"], found.stated["business date"]) == ("1", "2026-03-02")


CHANGES = {
    "delimited": [
        (b"A-1,CRDT,5.04", b"A-1,CRDT,5.05"),
        (b"A-1,CRDT", b"A-2,CRDT"),
        (b"A-1,CRDT", b"A-1,DBIT"),
        (b"5.04,EUR,2026-03-02", b"5.04,EUR,2026-03-03"),
        (b"5.04,EUR", b"5.04,USD"),
        (b"FT,4,", b"FT,5,"),
        (b"EUR/CRDT=", b"EUR/DBIT="),
        (b"\nPD,4,", b"\nPD,5,"),
        (b"\nFT,4", b"\nPD,5"),
        (b"5.04,EUR", b"5.0x,EUR"),
        (b"2026-03-04", b"2026-13-04"),
        (b"FH,TIEOUT1", b"FH,TIEOUT2"),
        (b"A-1", b"\xff-1"),
    ],
    "pain.001.001.09": [
        (b">5.04<", b">5.05<"),
        (b"<EndToEndId>A-1<", b"<EndToEndId>A-2<"),
        (b'Ccy="EUR">5.04', b'Ccy="USD">5.04'),
        (b"<Dt>2026-03-04</Dt>", b"<Dt>2026-03-05</Dt>"),
        (b"<MsgId>0123", b"<MsgId>9123"),
        (b"<NbOfTxs>4<", b"<NbOfTxs>5<"),
        (b"<NbOfTxs>1<", b"<NbOfTxs>2<"),
        (b"<CtrlSum>0.001<", b"<CtrlSum>0.002<"),
        (b"</Document>", b"</Documen>"),
        (b"pain.001.001.09", b"pain.001.001.03"),
        (b">5.04<", b">5.04e0<"),
    ],
}


@pytest.mark.parametrize(("format_", "old", "new"), [(f, *change) for f, found in CHANGES.items() for change in found])
def test_every_change_shows(written: Callable[[str], Path], format_: str, old: bytes, new: bytes) -> None:
    """A changed amount, reference, direction, date, currency, count or sum is never read back as what was written."""
    path = written(format_)
    before = _facts(recount(format_, path))
    changed = path.read_bytes().replace(old, new, 1)
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    assert _facts_or_refusal(format_, path) != before


def _facts_or_refusal(format_: str, path: Path) -> tuple[Any, ...]:
    try:
        return _facts(recount(format_, path))
    except Unreadable as error:
        return ("refused", str(error))


def _facts(found: Recounted) -> tuple[Any, ...]:
    return (
        found.count,
        dict(found.sums),
        found.fingerprint.value,
        found.stated,
        found.groups_off,
        control_sum_holds(found),
    )


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_that_is_cut_off_is_refused(written: Callable[[str], Path], format_: str) -> None:
    """No file that ends early is read as whole, wherever it ends."""
    path = written(format_)
    whole = path.read_bytes()
    for size in range(0, len(whole) - 3, max(1, len(whole) // 60)):
        path.write_bytes(whole[:size])
        with pytest.raises(Unreadable):
            recount(format_, path)


def test_swapped_payments_show(written: Callable[[str], Path]) -> None:
    """Two payments that change places leave count and sums as they were; their fingerprint is another."""
    path = written("delimited")
    text = path.read_bytes().replace(b"A-1,", b"X-X,").replace(b"D-4,", b"A-1,").replace(b"X-X,", b"D-4,")
    path.write_bytes(text)
    found = recount("delimited", path)
    assert found.count == 4
    assert found.fingerprint.value != expected(ROWS)


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    """A format that we do not write cannot be counted."""
    with pytest.raises(WrongConfiguration, match="unknown"):
        recount("csv", tmp_path)
