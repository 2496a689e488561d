"""Lists taken away as CSV: at once while they are small, else written by a job and fetched by whoever asked for them."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dashboard import export_pages, exports
from dashboard.exports import Export
from dashboard.filters import Filters
from dashboard.people import Person, seen_by
from functions import batch
from functions.topology import stage_named
from local.worker import call
from payments.errors import NotAllowed, SetAside
from reconciliation import mismatch_csv
from runtime.ledger import records
from runtime.ledger.audit import AuditRecord, audit_records
from runtime.old_exports import forget_exports
from runtime.wakes import about, wake
from runtime.wiring import World
from tests.unit.dashboard import page_world as pw

LIST = "/exports/mismatches.csv"
HIDDEN = timedelta(seconds=30)
ACCOUNT = "DE89370400440532013000"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("_worlds", "_watches", "_rests"):
        monkeypatch.setattr(batch, name, [])
    found = pw.page_world(tmp_path)
    pw.fill(found)
    batch.use(found)
    yield found
    found.ledger.engine.dispose()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fits into an answer: every export is a job."""
    monkeypatch.setattr(export_pages, "AT_ONCE_BYTES_MAX", 10)


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def add(world: World, **changes: Any) -> None:
    with world.ledger.begin() as tx:
        tx.mismatches.add(replace(pw.MISMATCH, **changes))


def work(world: World) -> int:
    """As the worker does with what waits; how many messages failed."""
    failed = 0
    while messages := world.queue.receive("export", limit=1, visibility=HIDDEN):
        receipts = call(stage_named("export"), messages)
        failed += len(receipts)
        for each in messages:
            world.queue.delete("export", each.receipt)
    return failed


def asked(world: World, path: str = LIST) -> str:
    """Ask for a list that is too long; the page to which one is sent."""
    answer = pw.get(pw.application(world), path)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def audited(world: World) -> list[AuditRecord]:
    with world.ledger.look() as tx:
        return list(audit_records(tx.connection, exports.CHAIN))


def test_a_small_list_is_the_answer(world: World) -> None:
    """One line per mismatch under a header, as a file to keep; nothing is sent to anybody."""
    answer = pw.get(pw.application(world), LIST)
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="mismatches.csv"'
    assert answer.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
    [row] = read(answer.content)
    assert tuple(row) == mismatch_csv.COLUMNS
    assert (row["id"], row["kind"], row["file"]) == (pw.MISMATCH.id, "amount_differs", pw.FILE.name)
    assert (row["expected"], row["expected_currency"]) == ("200.00", "EUR")
    assert (row["reported"], row["reported_currency"], row["closed_at"]) == ("201.00", "EUR", "")
    assert row["opened_at"] == "2026-03-02T06:00:00+00:00"
    assert world.queue.depth("export") == (0, 0)


def test_a_mismatch_of_a_result_file_bears_its_name(world: World) -> None:
    """That of a whole result file has no other; beside an outbound file the name in its details is the one of that file."""
    whole = {"file_id": "", "reference": "", "payment_id": "", "kind": "file_unreadable"}
    add(world, **whole, id="1" * 16, detail={"name": "=a.final", "why": "no trailer"})
    add(world, **whole, id="2" * 16, detail={"why": "no trailer"})
    add(world, id="3" * 16, kind="file_refused", detail={"name": pw.FILE.name})
    rows = read(pw.get(pw.application(world), LIST).content)
    assert [(row["file"], row["result_file"]) for row in rows] == [
        (pw.FILE.name, ""),
        ("", "'=a.final"),
        ("", ""),
        (pw.FILE.name, ""),
    ]


def test_the_list_is_that_of_the_page(world: World) -> None:
    """The export holds what the filters show, on all their pages, each mismatch once."""
    for number in range(1, 121):
        add(world, id=f"{number:016d}", kind="returned" if number % 2 else "amount_differs")
    add(world, id="f" * 16, kind="returned", state="resolved")
    page = pw.get(pw.application(world), "/mismatches?kind=returned").text
    assert 'href="/exports/mismatches.csv?kind=returned"' in page
    rows = read(pw.get(pw.application(world), f"{LIST}?kind=returned").content)
    assert [row["id"] for row in rows] == [f"{number:016d}" for number in range(1, 121, 2)]
    everything = read(pw.get(pw.application(world), f"{LIST}?state=all").content)
    assert len(everything) == 122


def test_pages_of_the_ledger_meet(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in pieces of any size the list has no hole and no line twice."""
    for number in range(1, 10):
        add(world, id=f"{number:016d}")
    for size in (1, 2, 3, 10):
        monkeypatch.setattr(exports, "PAGE_ROWS", size)
        with world.ledger.look() as tx:
            rows = read(b"".join(exports.pieces(tx, Filters())))
        assert [row["id"] for row in rows] == [f"{number:016d}" for number in range(10)]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])  # noqa: RUF001
def test_no_cell_is_a_formula(world: World, begin: str) -> None:
    """What others chose stands behind an apostrophe where a spreadsheet would calculate; quotes and line ends stay in their cell."""
    text = f"{begin}cmd|' /C calc'!A1,\"x\"\r\ny"
    add(world, id="1" * 16, reference=text, assignee=text, detail={"reason_code": text, "reported_currency": text})
    row = read(pw.get(pw.application(world), LIST).content)[1]
    for cell in ("reference", "assignee", "reason_code", "reported_currency"):
        assert row[cell] == f"'{text}"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a;=1+1", "a;'=1+1"),
        ('a; "@x', "a;' \"@x"),
        ("a\r\n=1", "a\r\n'=1"),
        ("a\t-1;+2", "a\t'-1;'+2"),
        (" =1", "' =1"),
        ("a;b=c-d", "a;b=c-d"),
        ("A-1/2+3", "A-1/2+3"),
    ],
)
def test_no_part_of_a_cell_is_a_formula_where_semicolons_separate(given: str, shown: str) -> None:
    """A spreadsheet that splits at semicolons takes our quotes for text: no part calculates there either."""
    assert mismatch_csv.neutral(given) == shown


def test_text_of_any_kind_is_written(world: World) -> None:
    """Every alphabet is UTF-8, without a mark before it; a column of text is not changed for its middle."""
    add(world, id="1" * 16, reference="Ünïcødé 漢字 a=b-c")
    content = pw.get(pw.application(world), LIST).content
    assert content.startswith(b"id,kind,")
    assert read(content)[1]["reference"] == "Ünïcødé 漢字 a=b-c"


def test_money_without_decimals(world: World) -> None:
    """Amounts have the decimals of their own currency; a side that says nothing has neither amount nor currency."""
    add(world, id="1" * 16, currency="JPY", expected_minor=5, reported_minor=None)
    add(world, id="2" * 16, expected_minor=None, reported_minor=-1, detail={"reported_currency": "TND"})
    rows = read(pw.get(pw.application(world), LIST).content)
    names = ("expected", "expected_currency", "reported", "reported_currency")
    assert [rows[1][name] for name in names] == ["5", "JPY", "", ""]
    assert [rows[2][name] for name in names] == ["", "", "-0.001", "TND"]


@pytest.mark.usefixtures("tiny")
def test_a_long_list_is_written_by_a_job(world: World) -> None:
    """The page says that it is being written, then where it is; what is fetched is the same as an answer would have been."""
    app = pw.application(world)
    where = asked(world)
    waiting = pw.get(app, where)
    assert waiting.status_code == 200
    assert "is being written" in waiting.text
    assert waiting.headers["refresh"] == "3"
    assert work(world) == 0
    ready = pw.get(app, where)
    assert "is written" in ready.text
    assert "refresh" not in ready.headers
    path = where.partition("?")[0] + "/mismatches.csv"
    assert f'href="{path}"' in ready.text
    fetched = pw.get(app, path)
    assert fetched.headers["content-disposition"] == 'attachment; filename="mismatches.csv"'
    with world.ledger.look() as tx:
        assert fetched.content == b"".join(exports.pieces(tx, Filters()))


def test_a_list_that_grows_too_long_is_put_down(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is an answer is known only after its first part: the rest is not read, and the ledger is free again."""
    monkeypatch.setattr(exports, "PAGE_ROWS", 1)
    monkeypatch.setattr(records, "STREAMED_ROWS", 1)
    for number in range(1, 30):
        add(world, id=f"{number:016d}")
    monkeypatch.setattr(export_pages, "AT_ONCE_BYTES_MAX", 1_000)
    where = asked(world)
    add(world, id="f" * 16)
    assert work(world) == 0
    content = pw.get(pw.application(world), f"{where.partition('?')[0]}/mismatches.csv").content
    assert len(read(content)) == 31


@pytest.mark.usefixtures("tiny")
def test_asking_twice_is_one_export(world: World) -> None:
    """The same list of the same state has one place and one record, however often it is asked for and whoever is killed."""
    first, second = asked(world), asked(world)
    assert first.partition("?")[0] == second.partition("?")[0]
    assert work(world) == 0
    [record] = audited(world)
    assert (record.act, record.actor) == ("exported", exports.NOBODY)
    assert json.loads(record.body)["number"] in first
    assert asked(world).partition("?")[0] == first.partition("?")[0]
    assert world.queue.depth("export") == (0, 0), "what is there is not written again"
    assert len(list(world.store.keys("exports/"))) == 1


@pytest.mark.usefixtures("tiny")
def test_a_changed_ledger_is_another_export(world: World) -> None:
    """A mismatch more, or one that changed, and the same question leads to another object."""
    places = {asked(world).partition("?")[0]}
    add(world, id="1" * 16)
    places.add(asked(world).partition("?")[0])
    with world.ledger.begin() as tx:
        tx.mismatches.change(pw.MISMATCH, state="assigned", updated_at=pw.AT + timedelta(hours=1))
    places.add(asked(world).partition("?")[0])
    assert len(places) == 3


@pytest.mark.usefixtures("tiny")
def test_an_export_is_its_owners(world: World) -> None:
    """Somebody else who knows the address of an export, whatever their role, finds nothing there."""
    one, other = (Person(name, f"{name}@example.net", frozenset({"viewer"})) for name in ("subject-1", "subject-2"))
    with seen_by(one):
        where = asked(world).partition("?")[0]
        assert work(world) == 0
        assert pw.get(pw.application(world), f"{where}/mismatches.csv").status_code == 200
    assert [record.actor for record in audited(world)] == ["subject-1"]
    for person in (other, replace(other, roles=frozenset({"auditor", "approver"}))):
        with seen_by(person):
            assert pw.get(pw.application(world), where).status_code == 404
            assert pw.get(pw.application(world), f"{where}/mismatches.csv").status_code == 404
    assert pw.get(pw.application(world), where).status_code == 404


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_no_other_site_begins_an_export(world: World, site: str) -> None:
    """A link or an image elsewhere makes no export in the name of whoever looks at it."""
    answer = pw.get(pw.application(world), LIST, headers={"sec-fetch-site": site})
    assert answer.status_code == 403
    assert pw.get(pw.application(world), LIST, headers={"sec-fetch-site": "same-origin"}).status_code == 200


@pytest.mark.parametrize("query", ["kind=rubbish", "state=nothing", "date=yesterday", "file=%00"])
def test_a_filter_that_means_nothing_is_refused(world: World, query: str) -> None:
    """As on the page: status 400, with the filter's name."""
    answer = pw.get(pw.application(world), f"{LIST}?{query}")
    assert answer.status_code == 400
    assert "attachment" not in answer.headers.get("content-disposition", "")


@pytest.mark.usefixtures("tiny")
def test_too_many_at_once(world: World) -> None:
    """Where others wait already the page says so, and sends nothing more."""
    for number in range(export_pages.WAITING_MAX):
        add(world, id=f"{number + 1:016d}")
        asked(world)
    add(world, id="f" * 16)
    answer = pw.get(pw.application(world), LIST)
    assert answer.status_code == 503
    assert world.queue.depth("export") == (export_pages.WAITING_MAX, 0)


def test_rows_are_limited(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list beyond the limit is refused before anything is written, and by whoever writes as well."""
    for module in (exports, export_pages):
        monkeypatch.setattr(module, "ROWS_MAX", 1)
    assert pw.get(pw.application(world), LIST).status_code == 200
    add(world, id="1" * 16)
    answer = pw.get(pw.application(world), LIST)
    assert (answer.status_code, "Narrow the filters" in answer.text) == (400, True)
    with world.ledger.look() as tx, pytest.raises(NotAllowed):
        list(exports.pieces(tx, Filters()))


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("number", ["0" * 32, "rubbish", "A" * 32, "..%2f..%2fraw", "0" * 31 + "é"])
def test_an_address_that_nobody_was_given(world: World, number: str) -> None:
    """What is no export of this person is not there; only who was just sent here is told to wait, and not without end."""
    app = pw.application(world)
    assert pw.get(app, f"/exports/{number}").status_code == 404
    assert pw.get(app, f"/exports/{number}/mismatches.csv").status_code == 404
    long_ago = int(time.time()) - export_pages.PATIENCE_S - 60
    for since in ("", "x", "-1", str(long_ago), "9" * 11, "9" * 500):
        assert pw.get(app, f"/exports/{'0' * 32}?asked={since}").status_code == 404


def message(filters: Filters = Filters(), owner: str = "subject") -> str:  # noqa: B008  (frozen)
    return Export(filters, owner, "1").message


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        wake("legacy"),
        message().replace("tieout", "else"),
        message().replace("Export", "Wake"),
        message().replace('"state": "1"', '"state": "2"'),
        message().replace('"id"', '"key": "raw/x", "id"'),
        message().replace('"kind": ""', '"kind": "", "where": "x"'),
        message().replace('"kind": ""', '"kind": "x"'),
        message(Filters(after="1")),
        message(owner=""),
        message(owner="x" * (exports.OWNER_MAX + 1)),
        message() + " " * exports.MESSAGE_BYTES_MAX,
        "[" * 100_000,
        "\ud800",
    ],
)
def test_a_message_of_somebody_else(world: World, body: str) -> None:
    """What the page would not send is set aside, and nothing is written."""
    with pytest.raises(SetAside):
        Export.read(body)
    assert list(world.store.keys("exports/")) == []


def test_a_message_says_what_was_asked(world: World) -> None:
    """Read back it is the same export, with the same place."""
    with world.ledger.look() as tx:
        export = Export.of(tx, Filters(kind="returned", date="2026-03-02", after="x"), "subject")
    assert export.filters.after == ""
    found = Export.read(export.message)
    assert (found, found.key) == (export, export.key)
    assert about(export.message) == f"export {export.number}"


@pytest.mark.usefixtures("tiny")
def test_the_record_comes_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between record and object, the next try makes both: no list is there that the audit log does not know."""

    def killed(*_: object) -> None:
        raise OSError("killed")

    asked(world)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(world.store), "put_file", killed)
        assert work(world) == 1
    assert len(audited(world)) == 1
    assert list(world.store.keys("exports/")) == []
    asked(world)
    assert work(world) == 0
    assert len(list(world.store.keys("exports/"))) == 1


@pytest.mark.usefixtures("tiny")
def test_no_account_is_in_an_export(world: World) -> None:
    """Whatever a mismatch holds about accounts or names stays in the ledger."""
    add(world, id="1" * 16, detail={"expected_account": ACCOUNT, "name": "Ana Example", "note": ACCOUNT})
    asked(world)
    assert work(world) == 0
    [key] = world.store.keys("exports/")
    content = world.store.get(key)
    assert ACCOUNT.encode() not in content
    assert b"Ana Example" not in content
    assert ACCOUNT not in "".join(record.body for record in audited(world))


@pytest.mark.usefixtures("tiny")
def test_exports_do_not_stay(world: World) -> None:
    """On one machine the service removes them after a day, and nothing else of the store."""
    asked(world)
    assert work(world) == 0
    [key] = world.store.keys("exports/")
    world.store.put("raw/legacy/x", b"x")
    forget_exports(world)
    assert world.store.exists(key)
    old = time.time() - 2 * 86_400
    for each in (key, "raw/legacy/x"):
        with world.store.local(each) as path:
            os.utime(path, (old, old))
    forget_exports(world)
    assert not world.store.exists(key)
    assert world.store.exists("raw/legacy/x")
