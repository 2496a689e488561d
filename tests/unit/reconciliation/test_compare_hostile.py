"""Files that are not what they should be: every one is refused with a message that names the thing, and leaks nothing."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from payments.errors import NotAllowed, TieoutError, Unreadable, WrongConfiguration
from reconciliation.compare import Comparison, compare_files

CANARY = "DE89370400440532013000"
GOOD = b"id,amount,currency,iban\n1,5,EUR,x\n"


def against_good(tmp_path: Path, content: bytes, **options: object) -> Comparison:
    """Compare a good left file with these bytes on the right."""
    (tmp_path / "ours.csv").write_bytes(GOOD)
    (tmp_path / "theirs.csv").write_bytes(content)
    return compare_files(tmp_path / "ours.csv", tmp_path / "theirs.csv", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "RIGHT theirs.csv is empty"),
        (b"\n\nid,amount\n1,5\n", "first line is blank"),
        (b"id,amount,Id\n1,5,1\n", "columns 1 and 3 have the same name"),
        (b"id,,amount\n1,5,1\n", "column 2 has no name"),
        (
            b"id,amount,currency,iban\n1,5,EUR,%b\n2,6,EUR\n" % CANARY.encode(),
            "line 3: the header names 4 columns, this line has 3",
        ),
        (
            b"id,amount,currency,iban\n1,5,EUR,%b,9,9\n" % CANARY.encode(),
            "line 2: the header names 4 columns, this line has more",
        ),
        (b'id,amount,currency,iban\n1,5,EUR,"%b\n' % CANARY.encode(), "line 2: a quote is not closed"),
        (b'id,amount,currency,iban\n1,5,"E"R,%b\n' % CANARY.encode(), "line 2: a quote is not closed, or text"),
        (b'id,amount,currency,iban\n1,5,EUR,"%b\n2,6,EUR,x\n' % CANARY.encode(), "line 2: a quote is not closed"),
        (b"id,amount,currency,iban\n1,5,EUR,%b\n" % (b"9" * 3_000_000), "line 2: it is too long"),
        (bytes(range(256)) * 40, "holds zero bytes"),
        (b"PAR1" + bytes(range(256)), "cut off or not Parquet"),
        (gzip.compress(GOOD * 1000, mtime=0)[:-20], "not a whole gzip file"),
        (b"\x1f\x8bnot gzip at all", "not a whole gzip file"),
        (",".join(f"c{at}" for at in range(501)).encode(), "501 columns"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    """Empty, cut off, ragged, binary and nameless files are refused by side, name and line, without their values."""
    with pytest.raises(Unreadable, match=message) as caught:
        against_good(tmp_path, content)
    assert str(caught.value).startswith("RIGHT theirs.csv")
    assert CANARY not in f"{caught.value} {caught.value.next_step} {caught.value.__cause__}"
    assert caught.value.next_step


def test_ragged_lines_are_seen_whatever_is_compared(tmp_path: Path) -> None:
    """A line too short is refused even when only columns before the gap are asked for, on either side."""
    with pytest.raises(Unreadable, match=r"RIGHT theirs\.csv, line 3"):
        against_good(tmp_path, b"id,note,iban\n1,2,3\n4,5\n", key=("id",), compare=())
    with pytest.raises(Unreadable, match=r"LEFT theirs\.csv, line 3"):
        compare_files(tmp_path / "theirs.csv", tmp_path / "ours.csv", key=("id",), compare=())


def test_header_only_files(tmp_path: Path) -> None:
    """A file with a header alone holds no payments: all of ours are missing; two of them agree."""
    found = against_good(tmp_path, b"id,amount,currency,iban")
    assert (found.left.count, found.right.count, found.matched.count) == (1, 0, 0)
    assert found.right.amount_minor == {}
    (tmp_path / "ours.csv").write_bytes(b"id,amount\n")
    assert compare_files(tmp_path / "ours.csv", tmp_path / "theirs.csv").agrees


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfid,amount,currency,iban\n1,5,EUR,x\n",
        b"id;amount;currency;iban\r\n1;5;EUR;x\r\n",
        b"id\tamount\tcurrency\tiban\n1\t5\tEUR\tx",
        b"id|amount|currency|iban\n1|5|EUR|x\n\n\n",
        b"id,amount,currency,iban\r1,5,EUR,x\r",
        b"id,amount,currency,iban\r\n1,5,EUR,x\n",
        b'"id","amount","currency","iban","no ""te"\n"1","5","EUR","x","a\r\nb, ""c"""\n',
        b'iban,"id","amount",currency\n"x",1,5,EUR\n',
        gzip.compress(GOOD, mtime=0),
        b"ID , Amount,CURRENCY,iBan\n 1 ,5.00, EUR,x \n",
    ],
)
def test_every_dialect_is_read_by_content(tmp_path: Path, content: bytes) -> None:
    """Byte order marks, four delimiters, all line ends, mixed ones too, quotes, blank lines, gzip and another column order."""
    found = against_good(tmp_path, content)
    assert found.agrees
    assert found.right.amount_minor == {"EUR/CRDT": 500}
    assert found.notes == ()


def test_latin_1_is_read_and_said(tmp_path: Path) -> None:
    """A file that is not UTF-8 is read as Latin-1, with a note; the same text in UTF-8 agrees with it."""
    (tmp_path / "left.csv").write_text("id,note\n1,Zoë ¤\n", encoding="utf-8")
    (tmp_path / "right.csv").write_bytes("id,note\n1,Zoë ¤\n".encode("latin-1"))
    found = compare_files(tmp_path / "left.csv", tmp_path / "right.csv")
    assert found.agrees
    assert found.notes == ("RIGHT right.csv is not UTF-8: read as Latin-1",)
    (tmp_path / "right.csv").write_bytes(b"id,note\n1,\x80\x9f\xff\n")
    assert not compare_files(tmp_path / "left.csv", tmp_path / "right.csv").agrees


def test_a_quote_inside_an_unquoted_value_is_text(tmp_path: Path) -> None:
    """A 5" pipe upsets neither the reading nor the count of lines."""
    content = b'id,amount,currency,iban\n1,5,EUR,5" pipe\n2,6,EUR,a "b"\n'
    found = against_good(tmp_path, content)
    assert found.right.count == 2


def test_quoted_line_ends_over_many_blocks(tmp_path: Path) -> None:
    """Values over several lines are one row, even in a file of several megabytes with CRLF outside and LF inside."""
    rows = "".join(f'{at},"line one\nline, two {at}",1.00,EUR\r\n' for at in range(120_000))
    for name in ("left.csv", "right.csv"):
        (tmp_path / name).write_bytes(f"id,note,amount,currency\r\n{rows}".encode())
    found = compare_files(tmp_path / "left.csv", tmp_path / "right.csv")
    assert found.agrees
    assert found.left.to_json() == {"count": 120_000, "amount_minor": {"EUR/CRDT": 12_000_000}}


def test_one_column_is_enough(tmp_path: Path) -> None:
    """Two lists of references compare by presence; blank lines are no references."""
    (tmp_path / "left.txt").write_text("reference\nA\n\nB\n")
    (tmp_path / "right.txt").write_text("reference\nB\nC\n\n")
    found = compare_files(tmp_path / "left.txt", tmp_path / "right.txt")
    assert (found.left.count, found.right.count, found.matched.count) == (2, 2, 1)
    assert found.left.amount_minor is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": ("nothing",)}, "--key: the files do not both have a column 'nothing'; both have id, amount"),
        ({"compare": ("amount", "nothing")}, "--compare: the files do not both have a column 'nothing'"),
        ({"renamed": {"id": "nothing"}}, "--map: RIGHT has no column nothing"),
        ({"renamed": {"nothing": "id"}}, "--map: LEFT has no column nothing"),
        ({"memory_limit_mb": 1}, "at least 128 MB"),
        ({"threads": 0}, "1 to 64 threads"),
        ({"output": Path("out.xlsx")}, "neither .csv nor .parquet"),
        ({"output": Path("/nowhere/at/all/out.csv")}, "its directory does not exist"),
    ],
)
def test_wrong_use_is_said(tmp_path: Path, options: dict[str, object], message: str) -> None:
    """An option that cannot be met names itself and what there is."""
    with pytest.raises(WrongConfiguration, match=message):
        against_good(tmp_path, GOOD, **options)


def test_no_obvious_key(tmp_path: Path) -> None:
    """Without an obvious key the columns are listed; a headerless file's values are not."""
    (tmp_path / "plain.csv").write_text("colour,size\nred,1\n")
    with pytest.raises(WrongConfiguration, match="no column is obviously the key; both have colour, size"):
        compare_files(tmp_path / "plain.csv", tmp_path / "plain.csv")
    (tmp_path / "bare.csv").write_text(f"{CANARY},17\n{CANARY},18\n")
    with pytest.raises(WrongConfiguration, match="no column is obviously the key") as caught:
        compare_files(tmp_path / "bare.csv", tmp_path / "bare.csv")
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "rows", "key"),
    [
        ("id,end_to_end_id,amount", ["1,A,1", "2,B,1", "2,B,1"], "end_to_end_id"),
        ("id,end_to_end_id,amount", ["1,NOTPROVIDED,1", "2,NOTPROVIDED,1"], "id"),
        ("UETR,amount", ["A,1", "A,1"], "UETR"),
        ("merchant_ref,batch_id,amount", ["A,7,1", "B,7,1", "C,7,1"], "merchant_ref"),
    ],
)
def test_the_key_is_guessed_by_name_then_by_values(tmp_path: Path, header: str, rows: list[str], key: str) -> None:
    """The strongest name whose values are mostly distinct wins; a sole known name wins in any case."""
    (tmp_path / "same.csv").write_text("\n".join([header, *rows]))
    found = compare_files(tmp_path / "same.csv", tmp_path / "same.csv")
    assert found.key == (key,)
    assert found.key_guessed


def test_names_with_quotes_and_patterns_are_only_names(tmp_path: Path) -> None:
    """Columns and files called like SQL or like a pattern are read as they are."""
    table = pa.table({"id": ["1"], "a'b\"; drop": ["x"], "file_row": ["y"]})
    pq.write_table(table, tmp_path / "we[i]rd *'.parquet")
    (tmp_path / "o'th?er.csv").write_text('id,"a\'b""; drop",file_row\n1,z,y\n')
    found = compare_files(tmp_path / "we[i]rd *'.parquet", tmp_path / "o'th?er.csv", output=tmp_path / "ou't.csv")
    assert [each.field for each in found.mismatches[0].fields] == ["a'b\"; drop"]
    assert (tmp_path / "ou't.csv").stat().st_size > 0


def test_parquet_with_two_equal_names_is_refused(tmp_path: Path) -> None:
    """Parquet columns that differ only in case are one name twice; nested columns are counted as one."""
    pq.write_table(
        pa.table([pa.array([1]), pa.array([{"id": 1, "x": 2}]), pa.array([2])], ["id", "s", "ID"]),
        tmp_path / "two.parquet",
    )
    with pytest.raises(Unreadable, match="columns 1 and 3 have the same name"):
        compare_files(tmp_path / "two.parquet", tmp_path / "two.parquet")
    nested = pa.table({"id": [1], "deep": pa.array([{"id": [1, 2], "x": {"y": 2}}]), "amount": [2]})
    pq.write_table(nested, tmp_path / "nested.parquet")
    assert compare_files(tmp_path / "nested.parquet", tmp_path / "nested.parquet").compared == ("deep", "amount")


def test_parquet_damaged_inside_is_refused(tmp_path: Path) -> None:
    """A page that cannot be unpacked names the file, not its bytes."""
    pq.write_table(
        pa.table({"id": [f"{at:09d}" for at in range(20_000)]}), tmp_path / "ours.parquet", compression="zstd"
    )
    data = bytearray((tmp_path / "ours.parquet").read_bytes())
    data[400:1400] = b"\xff" * 1000
    (tmp_path / "bad.parquet").write_bytes(data)
    with pytest.raises(Unreadable, match=r"RIGHT bad\.parquet"):
        compare_files(tmp_path / "ours.parquet", tmp_path / "bad.parquet")


def test_no_such_file_and_the_output_over_an_input(tmp_path: Path) -> None:
    """A file that is not there is wrong use; neither input can be the output."""
    (tmp_path / "ours.csv").write_bytes(GOOD)
    with pytest.raises(WrongConfiguration, match=r"RIGHT gone\.csv is not a file"):
        compare_files(tmp_path / "ours.csv", tmp_path / "gone.csv")
    with pytest.raises(NotAllowed, match="one of the files compared"):
        compare_files(tmp_path / "ours.csv", tmp_path / "ours.csv", output=tmp_path / "ours.csv")
    assert (tmp_path / "ours.csv").read_bytes() == GOOD


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that grew during the compare proves nothing."""
    from reconciliation import compare as module

    original = module.listed_differences

    def grow(*arguments: object) -> object:
        with (tmp_path / "theirs.csv").open("ab") as opened:
            opened.write(b"9,9,EUR,z\n")
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "listed_differences", grow)
    with pytest.raises(Unreadable, match=r"RIGHT theirs\.csv changed while it was read"):
        against_good(tmp_path, GOOD)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is removed after success and after failure."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    against_good(tmp_path, gzip.compress(GOOD, mtime=0), output=tmp_path / "out.parquet")
    with pytest.raises(TieoutError):
        against_good(tmp_path, b"id,amount,currency,iban\n1\n")
    assert list(scratch.iterdir()) == []
    assert {each.name for each in tmp_path.iterdir()} == {"scratch", "ours.csv", "theirs.csv", "out.parquet"}
