"""The delimited acknowledgements and results that come back."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formats import delimited_lines
from formats.reading import Reading, read_result
from payments.errors import Unreadable, WrongConfiguration
from payments.states import MismatchKind
from payments.tables import REPORTED

HEAD = "RH,TIEOUT1,out.csv,0123456789abcdef01234567,7,2026-03-02T07:00:00Z,1\n"
TAIL = "CRDT,2026-03-02,FR1420041010050500013M02606,AQ77,2026-03-02T06:59:00Z"


def line(number: int, reference: str, *, status: str = "ACSC", reason: str = "", money: str = "1.00,EUR") -> str:
    return f"RD,{number},{reference},{status},{reason},{money},{TAIL}\n"


def read(tmp_path: Path, content: str | bytes) -> tuple[Reading, list[dict[str, Any]]]:
    path = tmp_path / "out.csv.result.1"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    reading = read_result("delimited", path)
    rows: list[dict[str, Any]] = []
    for batch in reading:
        batch.validate(full=True)
        assert batch.schema == REPORTED
        assert batch.num_rows <= 50_000
        rows += batch.to_pylist()
    assert reading.lines == len(rows) == reading.control + reading.events + reading.unreadable
    return reading, rows


def test_results_are_read_whole(tmp_path: Path) -> None:
    """Every field of a result line comes back typed and exact, under the file and message that the header names."""
    content = HEAD + line(1, "REF1", money="123.45,EUR") + line(2, "REF2", status="RJCT", reason="AC04", money="7,JPY")
    reading, rows = read(tmp_path, content + "RT,2,EUR/CRDT=123.45|JPY/CRDT=7\n")
    assert (reading.lines, reading.control, reading.events, reading.unreadable) == (4, 2, 2, 0)
    assert (reading.complete, reading.problems) == (True, [])
    assert rows[1] == {
        "line": 2,
        "level": "TX",
        "status": "ACSC",
        "status_text": "ACSC",
        "reason_code": None,
        "reason_text": None,
        "end_to_end_id": "REF1",
        "original_file": "out.csv",
        "original_msg_id": "0123456789abcdef01234567",
        "original_sequence": 7,
        "amount_minor": 12345,
        "currency": "EUR",
        "direction": "CRDT",
        "requested_date": date(2026, 3, 2),
        "creditor_account": "FR1420041010050500013M02606",
        "acquirer_reference": "AQ77",
        "stated_at": datetime(2026, 3, 2, 6, 59, tzinfo=UTC),
        "error": None,
    }
    assert (rows[2]["status"], rows[2]["reason_code"], rows[2]["amount_minor"]) == ("RJCT", "AC04", 7)
    assert [row["level"] for row in rows] == ["GRP", "TX", "TX", "GRP"]


def test_acknowledgement(tmp_path: Path) -> None:
    """An acknowledgement is control only, and gives the status and reason of the whole file."""
    ack = 'AH,TIEOUT1,out.csv,0123,7,2026-03-02,2026-03-02T06:01:00Z\nAK,RJCT,5,AM18,"counted 4,\nnot 5",8\nAT,1\n'
    reading, rows = read(tmp_path, ack)
    assert (reading.lines, reading.control, reading.events) == (3, 3, 0)
    assert (reading.group_status, reading.group_reason, reading.original_count) == ("RJCT", "AM18", 5)
    assert (reading.original_file, reading.original_msg_id, reading.original_sequence) == ("out.csv", "0123", 7)
    assert rows[1]["reason_text"] == "counted 4,\nnot 5"
    assert reading.complete


@pytest.mark.parametrize(("status", "known"), [("ACTC", True), ("PART", True), ("RTRN", False), ("OKAY", False)])
def test_group_status_is_known_or_unreadable(tmp_path: Path, status: str, known: bool) -> None:
    """PART is a status of a file; RTRN or a word of the acquirer's own is none, and never taken for an acceptance."""
    reading, rows = read(tmp_path, f"AH,TIEOUT1,f,0123,7,2026-03-02,2026-03-02T06:01:00Z\nAK,{status},5,,,8\nAT,1\n")
    assert reading.group_status == (status if known else None)
    assert (reading.unreadable, rows[1]["error"]) == ((0, None) if known else (1, "unknown status"))


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (line(2, "REF2", status="OKAY"), "unknown status"),
        (line(2, "REF2", status="acsc"), "unknown status"),
        (line(2, "REF2", status="PART"), "unknown status"),
        (line(2, "REF2", status=""), "status is missing"),
        (line(2, ""), "payment reference is missing"),
        (line(2, "NOTPROVIDED"), "payment reference is missing"),
        (line(2, "REF2", money="1e3,EUR"), "amount is not a number"),
        (line(2, "REF2", money=",EUR"), "amount is missing"),
        (line(2, "REF2", money="1.005,EUR"), "amount has more decimals than its currency"),
        (line(2, "REF2", money="1.5,JPY"), "amount has more decimals than its currency"),
        (line(2, "REF2", money="99999999999999999999,EUR"), "amount is too large"),
        (line(2, "REF2", money="-1.00,EUR"), "amount is negative"),
        (line(2, "REF2", money="1.00,XXX"), "currency is not in ISO 4217"),
        (line(2, "REF2", money="1.00,"), "currency is missing"),
        (line(2, "REF2").replace("CRDT", "C"), "direction is neither CRDT nor DBIT"),
        (line(2, "REF2").replace("2026-03-02,", "2026-02-30,"), "requested_date cannot be read"),
        (line(2, "REF2").replace("2026-03-02,", "2026-W10-1,"), "requested_date cannot be read"),
        (line(2, "REF2").replace("06:59:00Z", "6 o'clock"), "stated_at cannot be read"),
        ("RD,2,REF2,ACSC\n", "not a record that may stand here, or not with 4 fields"),
        ("XX,2\n", "not a record that may stand here, or not with 2 fields"),
        (HEAD, "not a record that may stand here, or not with 7 fields"),
        ("\n", "not a record that may stand here, or not with 1 fields"),
        (line(2, '"REF2'), "quotes are not closed"),
        (line(2, '"REF"2'), "quotes are misplaced"),
        (line(2, "R" * 70_000), "line is longer than 65536 bytes"),
    ],
)
def test_bad_line_costs_only_itself(tmp_path: Path, bad: str, error: str) -> None:
    """A line that cannot be read is kept as a row with its error; its neighbours are read, the file is flagged."""
    reading, rows = read(tmp_path, HEAD + line(1, "REF1") + bad + line(3, "REF3") + "RT,3,EUR/CRDT=3.00\n")
    assert [row["error"] for row in rows] == [None, None, error, None, None]
    assert (reading.lines, reading.control, reading.events, reading.unreadable) == (5, 2, 2, 1)
    assert [row["end_to_end_id"] for row in rows if row["level"] == "TX" and not row["error"]] == ["REF1", "REF3"]
    assert rows[2]["level"] == "TX"
    unreadable = [each.detail for each in reading.problems if each.kind == MismatchKind.FILE_UNREADABLE]
    assert unreadable == [f"1 of 5 lines cannot be read; the first is line 3: {error}"]


def test_readable_values_of_an_unreadable_line_are_kept(tmp_path: Path) -> None:
    """A line with an unknown status keeps its amount, which counts in the trailer's sum."""
    reading, rows = read(tmp_path, HEAD + line(1, "REF1", status="OKAY") + "RT,1,EUR/CRDT=1.00\n")
    assert (rows[1]["status"], rows[1]["status_text"], rows[1]["amount_minor"]) == (None, "OKAY", 100)
    assert [each.kind for each in reading.problems] == [MismatchKind.FILE_UNREADABLE]


@pytest.mark.parametrize(
    ("trailer", "kinds"),
    [
        ("RT,2,EUR/CRDT=2.0000\n", []),
        ("RT,2,EUR/CRDT=2.00|USD/DBIT=0.00", []),
        ("RT,3,EUR/CRDT=2.00\n", [MismatchKind.COUNT_DIFFERS]),
        ("RT,x,EUR/CRDT=2.00\n", [MismatchKind.COUNT_DIFFERS]),
        ("RT,2,EUR/CRDT=2.01\n", [MismatchKind.SUM_DIFFERS]),
        ("RT,2,EUR/DBIT=2.00\n", [MismatchKind.SUM_DIFFERS]),
        ("RT,2,\n", [MismatchKind.SUM_DIFFERS]),
        ("RT,2,EUR/CRDT=2.00|EUR/CRDT=2.00\n", [MismatchKind.SUM_DIFFERS]),
        ("RT,2,EUR=2,00\n", [MismatchKind.FILE_UNREADABLE]),
    ],
)
def test_trailer_is_compared(tmp_path: Path, trailer: str, kinds: list[MismatchKind]) -> None:
    """The trailer's count and sums are compared with what was read; trailing zeros and sums of zero are no difference."""
    reading, _ = read(tmp_path, HEAD + line(1, "REF1") + line(2, "REF2") + trailer)
    assert [each.kind for each in reading.problems] == kinds
    assert reading.complete == (kinds != [MismatchKind.FILE_UNREADABLE])


def test_without_trailer_it_is_incomplete(tmp_path: Path) -> None:
    """A file without trailer gives what is there; a last line without its end is never taken as a payment's state."""
    reading, rows = read(tmp_path, HEAD + line(1, "REF1"))
    assert (reading.complete, reading.events, reading.problems) == (False, 1, [])
    reading, rows = read(tmp_path, HEAD + line(1, "REF1") + line(2, "REF2")[:-2])
    assert (reading.complete, reading.events, rows[-1]["error"]) == (False, 1, "line is cut off")


def test_lines_behind_the_trailer(tmp_path: Path) -> None:
    """What follows a trailer is kept but not believed, and the file is not complete."""
    reading, rows = read(tmp_path, HEAD + line(1, "REF1") + "RT,1,EUR/CRDT=1.00\n" + line(1, "REF2"))
    assert (reading.complete, reading.events, rows[-1]["error"]) == (False, 1, "line is behind the trailer")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"hello\n", "not a header"),
        (HEAD.replace("TIEOUT1", "TIEOUT9").encode(), "not a header"),
        (HEAD.replace(",7,", ",seven,").encode(), "no sequence number"),
        (HEAD.replace("2026-03-02T", "yesterday").encode(), "no creation time"),
        (HEAD.replace("out", "o\0t").encode(), "NUL"),
        ((HEAD + line(1, "RE\0F1")).encode(), "NUL"),
        ((HEAD + line(1, "REF1") + line(2, "M\u00fcller")).encode("latin-1"), "not UTF-8"),
        (("x" * 100_000).encode(), "not a header"),
        (b"\x1f\x8b\x08\x00", "NUL"),
    ],
)
def test_no_result_file_at_all(tmp_path: Path, content: bytes, why: str) -> None:
    """Bytes that are not such a file are refused as a whole, with ISO 20022 reason FF01."""
    with pytest.raises(Unreadable, match=f"FF01.*{why}"):
        read(tmp_path, content)


def test_header_is_checked_before_iteration(tmp_path: Path) -> None:
    """A file of another kind is refused at once; an unknown format is a wrong configuration."""
    (tmp_path / "x").write_text("hello")
    with pytest.raises(Unreadable):
        read_result("delimited", tmp_path / "x")
    with pytest.raises(WrongConfiguration, match="'camt'"):
        read_result("camt", tmp_path / "x")


def test_windows_line_ends_and_bom(tmp_path: Path) -> None:
    """CRLF line ends and a byte order mark change nothing."""
    plain = HEAD + line(1, "REF1") + line(2, "REF2") + "RT,2,EUR/CRDT=2.00\n"
    _, expected = read(tmp_path, plain)
    reading, rows = read(tmp_path, "\ufeff" + plain.replace("\n", "\r\n"))
    assert rows == expected
    assert (reading.complete, reading.problems) == (True, [])


def test_local_times_are_taken_in_the_zone(tmp_path: Path) -> None:
    """A time without offset is local time of the acquirer; a missing one is the time of the file."""
    content = HEAD + line(1, "REF1").replace("06:59:00Z", "06:59:00") + line(2, "R").replace("2026-03-02T06:59:00Z", "")
    (tmp_path / "x").write_text(content)
    rows = pa.Table.from_batches(read_result("delimited", tmp_path / "x", zone="Europe/Berlin")).to_pylist()
    assert [row["stated_at"].hour for row in rows] == [7, 5, 7]


field = st.text(st.sampled_from('AB9 ,"\n\r;é'), max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["RD", "RT", "AK", "Z"]), st.lists(field, max_size=13)), max_size=12))
def test_nothing_is_dropped(tmp_path: Path, records: list[tuple[str, list[str]]]) -> None:
    """Whatever follows the header, every line is counted once and the counts add up."""
    content = HEAD + "".join(",".join([tag, *fields]) + "\n" for tag, fields in records)
    reading, rows = read(tmp_path, content)
    assert len(rows) <= content.count("\n")
    assert [row["line"] for row in rows] == list(range(1, len(rows) + 1))
    assert reading.events == 0 or "RD" in {tag for tag, _ in records}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ACSC", "RJCT", "", "OKAY", " ACSC"]),
            st.sampled_from(["1.00,EUR", "5,JPY", "1.5,JPY", ",EUR", "x,EUR", "2.00,", "1,eur"]),
            st.sampled_from([" REF", "REF ", "", "é"]),
        ),
        min_size=3,
        max_size=20,
    )
)
def test_fast_and_slow_paths_agree(tmp_path: Path, records: list[tuple[str, str, str]]) -> None:
    """The same lines read as a block and read one by one (because one of them has quotes) give the same rows."""
    lines = [line(n, ref, status=status, money=money) for n, (status, money, ref) in enumerate(records, 1)]
    end = line(99, "LAST")
    _, fast = read(tmp_path, HEAD + "".join(lines) + end)
    _, slow = read(tmp_path, HEAD + "".join(lines) + line(98, '"QUOTED"') + end)
    assert slow[: len(lines) + 1] == fast[: len(lines) + 1]


@pytest.mark.parametrize("block_bytes", [200, 1000, 5000])
def test_blocks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    """However the file is cut into blocks, the rows are the same, overlong lines and open quotes included."""
    lines = [line(n, f"REF{n}") for n in range(1, 60)]
    lines[10] = line(11, "R" * 3000)
    lines[20] = line(21, '"open')
    lines[30] = line(31, '"closed"')
    content = HEAD + "".join(lines) + "RT,59,EUR/CRDT=57.00\n"
    monkeypatch.setattr(delimited_lines, "LINE_BYTES_MAX", 1024)
    monkeypatch.setattr("formats.delimited_in.LINE_BYTES_MAX", 1024)
    reading, expected = read(tmp_path, content)
    monkeypatch.setattr(delimited_lines, "BLOCK_BYTES", block_bytes)
    again, rows = read(tmp_path, content)
    assert rows == expected
    assert again.problems == reading.problems
    assert (reading.lines, reading.unreadable, reading.complete) == (61, 2, True)


@pytest.mark.parametrize(
    ("ending", "error"),
    [('RD,2,"REF2,ACSC\nand so on', "quotes are not closed"), ("R" * 200_000, "line is longer than 65536 bytes")],
)
def test_bad_end_is_kept(tmp_path: Path, ending: str, error: str) -> None:
    """A file that ends inside quotes or in a line without end is read up to there, and the rest is one unreadable line."""
    reading, rows = read(tmp_path, HEAD + line(1, "REF1") + ending)
    assert [row["error"] for row in rows] == [None, None, error]
    assert (reading.complete, reading.events) == (False, 1)


def test_a_time_that_no_calendar_holds(tmp_path: Path) -> None:
    """A time before the first year once it is UTC is unreadable, not a crash."""
    _, rows = read(tmp_path, HEAD + line(1, "REF1").replace("2026-03-02T06:59:00Z", "0001-01-01T00:00:00+14:00"))
    assert rows[1]["error"] == "stated_at cannot be read"
