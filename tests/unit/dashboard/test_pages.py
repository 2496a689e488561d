"""What the page shows, what it never shows, and that it only looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from payments.books import Total
from payments.errors import Unreachable
from reconciliation.statement import statement
from runtime.attention import attention
from runtime.wiring import World
from tests.unit.dashboard import page_world as pw
from transfer.forecast import Alarm

PAGES = ("/", "/mismatches", f"/mismatches/{pw.MISMATCH.id}", f"/files/{pw.FILE.file_id}", "/runs/legacy/1")
EVERYTHING = (*PAGES, "/status.json", "/healthz", "/nothing", "/static/page.css", "/static/pico.min.css")
HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m\x00'\"&"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return pw.page_world(tmp_path)


@pytest.mark.parametrize("path", EVERYTHING)
def test_every_answer_carries_strict_headers(world: World, path: str) -> None:
    """No answer, found or not, may run scripts, be framed, be guessed at or be kept by a browser."""
    pw.fill(world)
    answer = pw.get(pw.application(world), path)
    assert answer.status_code == (404 if path == "/nothing" else 200)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "script-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_plain_and_marked_up(world: World, path: str) -> None:
    """Every page has one main landmark, a title, a language, headers with their scope, and no script or style of its own."""
    pw.fill(world)
    text = pw.get(pw.application(world), path).text
    assert text.count("<main") == 1
    assert '<html lang="en">' in text
    assert re.search(r"<title>[^<]+ · Tieout</title>", text)
    assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", text)
    assert re.findall(r"<th(?![^>]*scope=)[ >]", text) == []
    assert re.findall(r"<table(?=[ >])", text)
    assert text.count("<table") == text.count('role="region" aria-label="')


@pytest.mark.parametrize("path", PAGES)
def test_hostile_text_is_harmless(world: World, path: str) -> None:
    """Names and references from outside are shown as text, with control characters and direction marks as escapes."""
    hostile = replace(pw.MISMATCH, reference=HOSTILE, currency=HOSTILE, detail={"why": HOSTILE, HOSTILE: [HOSTILE]})
    pw.fill(world, file=replace(pw.FILE, name=HOSTILE, note=HOSTILE), mismatch=hostile, result_name=HOSTILE)
    answer = pw.get(pw.application(world), path)
    assert answer.status_code == 200
    assert "<script" not in answer.text
    for character in "\u202e\x1b\x00":
        assert character not in answer.text
    if path != "/runs/legacy/1":
        assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e\\x1b[31m\\x00&#39;&#34;&amp;" in answer.text


def test_account_numbers_in_free_text_are_masked(world: World) -> None:
    """A note that holds what looks like an account number is shown without it."""
    pw.fill(world, file=replace(pw.FILE, held="limit for DE89370400440532013000 and 4111111111111111"))
    for path in ("/", f"/files/{pw.FILE.file_id}"):
        text = pw.get(pw.application(world), path).text
        assert "DE8937" not in text
        assert "411111" not in text
        assert "limit for &lt;masked&gt;" in text


def test_two_signs_are_shown_apart(world: World) -> None:
    """A ledger whose books are off and whose acquirer disagrees says both, each with its own sign and figures."""
    pw.fill(world, file=replace(pw.FILE, total=pw.total(4, 700)))
    text = pw.get(pw.application(world), "/").text
    assert "✗ The books do not tie" in text
    assert "curated is not assigned + unassigned" in text
    assert "≠ is off" in text
    assert "≠ The acquirer does not agree" in text
    assert "EUR/CRDT 1.00" in text
    assert '<a href="/mismatches?kind=amount_differs">amount differs</a>' in text


def test_an_empty_ledger_ties_and_agrees(world: World) -> None:
    """Before the first run the page says that the books tie and what to do next."""
    text = pw.get(pw.application(world), "/").text
    assert "✓ The books tie" in text
    assert "✓ The acquirer agrees" in text
    assert "tieout extract SOURCE" in text


def test_held_late_and_blocked_files_are_flagged(world: World) -> None:
    """A held file, a late one and one behind the held one each bear their flag, and the block is said in words."""
    held = replace(pw.FILE, state="sealed", held="limit: too many", delivered_at=None, results_due_at=None)
    behind = replace(held, file_id="b" * 24, name="behind.csv", sequence=2, held="")
    late = replace(pw.FILE, file_id="c" * 24, name="late.csv", sequence=3, awaiting=pw.total(1, 1))
    pw.fill(world, file=held)
    with world.ledger.begin() as tx:
        tx.files.add(behind)
        tx.files.add(late)
    text = pw.get(pw.application(world), "/").text
    rows = {
        name: row for row in text.split("<tr>") for name in (held.name, behind.name, late.name) if f">{name}<" in row
    }
    flags = {name: re.findall(r'class="tag bad">(held|late|blocked)<', row) for name, row in rows.items()}
    assert flags == {held.name: ["held"], behind.name: ["blocked"], late.name: ["late"]}
    assert "blocks the files behind it" in text


def test_listing_pages_show_every_mismatch_once(world: World) -> None:
    """Following `Next page` from the first page shows each of 120 mismatches exactly once."""
    with world.ledger.begin() as tx:
        for number in range(120):
            tx.mismatches.add(replace(pw.MISMATCH, id=f"{number:016x}"))
    app, path, seen = pw.application(world), "/mismatches?kind=amount_differs", []
    for _ in range(4):
        text = pw.get(app, path).text
        assert '<p id="count">120 mismatches</p>' in text
        seen += re.findall(r'<a href="/mismatches/([0-9a-f]{16})">', text)
        following = re.search(r'<a href="(/mismatches\?[^"]+)" rel="next">', text)
        if following is None:
            break
        path = following[1].replace("&amp;", "&")
    assert seen == [f"{number:016x}" for number in range(120)]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 1),
        ("?state=all", 2),
        ("?state=resolved", 1),
        ("?kind=returned", 0),
        ("?acquirer=giro&state=all", 0),
        ("?date=2026-03-02", 1),
        ("?date=2026-03-03", 0),
        (f"?file={'f' * 24}", 1),
    ],
)
def test_filters_choose(world: World, query: str, count: int) -> None:
    """Kind, state, acquirer, date and file each narrow the list; without a state only open ones are listed."""
    pw.fill(world)
    with world.ledger.begin() as tx:
        tx.mismatches.add(replace(pw.MISMATCH, id="1" * 16, state="resolved", file_id=""))
    text = pw.get(pw.application(world), f"/mismatches{query}").text
    assert f'<p id="count">{count} mismatch' in text


@pytest.mark.parametrize(
    "query", ["kind=nothing", "state=nothing", "date=yesterday", "acquirer=%00", "after=%E2%80%AE"]
)
def test_wrong_filters_are_refused(world: World, query: str) -> None:
    """A filter that names nothing we know is said to be wrong, not taken for an empty list."""
    answer = pw.get(pw.application(world), f"/mismatches?{query}")
    assert answer.status_code == 400
    assert "This list cannot be shown" in answer.text


@pytest.mark.parametrize(
    "path", ["/files/%00", "/files/x", "/mismatches/x", "/runs/legacy/9", "/runs/legacy/x", "/docs"]
)
def test_unknown_things_are_not_found(world: World, path: str) -> None:
    """A name that nothing bears gives a page that says so; there is no generated documentation."""
    assert pw.get(pw.application(world), path).status_code == 404


def test_nothing_can_be_changed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page works without ever opening a transaction that writes, and every other method is refused."""
    pw.fill(world)
    app = pw.application(world)
    monkeypatch.setattr(world.ledger, "begin", lambda: pytest.fail("a page opened a writing transaction"))
    for path in PAGES:
        assert pw.get(app, path).status_code == 200
        assert pw.get(app, path, method="HEAD").status_code == 200
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            refused = pw.get(app, path, method=method)
            assert (refused.status_code, {*refused.headers["allow"].split(", ")}) == (405, {"GET", "HEAD"})


@pytest.mark.parametrize(
    ("host", "status"), [("localhost", 200), ("[::1]:8470", 200), ("evil.example", 421), ("", 421)]
)
def test_other_names_are_not_answered(world: World, host: str, status: int) -> None:
    """A page bound to this machine answers to this machine's own names only, whatever site sends the browser."""
    answer = pw.get(pw.application(world), "/", headers={"Host": host})
    assert answer.status_code == status


def test_what_waits_for_a_person_stands_above_the_books(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in doubt and windows at risk, each with the command that goes on from there."""
    alarm = Alarm("alarm:x", "acquirer northbank: window noon may be missed", "northbank")
    monkeypatch.setattr("runtime.attention.alarms", lambda *_: [alarm])
    pw.fill(world, file=replace(pw.FILE, state="in_doubt", note="the answer was lost"))
    text = pw.get(pw.application(world), "/").text
    for shown in (
        f"{pw.FILE.name} is in doubt: the answer was lost",
        f"<code>tieout file {pw.FILE.name} show</code>",
        "window noon may be missed",
        "<code>tieout acquirer northbank next</code>",
    ):
        assert shown in text
        assert text.index(shown) < text.index('id="payments"')


def test_rows_without_a_readable_amount_have_a_column_of_their_own(world: World) -> None:
    """They are in the counts and in no sum: the page says so where there are any, and shows no empty column otherwise."""
    pw.fill(world)
    assert "Unreadable" not in pw.get(pw.application(world), "/").text
    unreadable = Total(3, {"EUR/CRDT": 600}, 2)
    with world.ledger.begin() as tx:
        run = tx.runs.get("legacy", 1)
        assert run is not None
        tx.runs.change(run, extracted=unreadable, curated=Total(), quarantined=unreadable)
    text = pw.get(pw.application(world), "/").text
    assert '<th scope="col" class="num">Unreadable</th>' in text


@pytest.mark.parametrize("unreadable", [0, 1_002])
def test_a_file_shows_how_many_lines_of_its_results_cannot_be_read(world: World, unreadable: int) -> None:
    """Beside what was used of a result file; in the colour of warnings where there are any."""
    pw.fill(world)
    with world.ledger.begin() as tx:
        [result] = tx.results.find()
        tx.results.change(result, unreadable=unreadable)
    text = pw.get(pw.application(world), f"/files/{pw.FILE.file_id}").text
    assert '<th scope="col" class="num">Unreadable</th><th scope="col">SHA-256</th>' in text
    cell = '<td class="num warn">1,002</td><td><code' if unreadable else '<td class="num zero">0</td><td><code'
    assert cell in text


def test_status_is_the_statement(world: World) -> None:
    """/status.json is the object of `tieout status --json`."""
    pw.fill(world)
    with world.ledger.look() as tx:
        found = attention(tx, world.configuration, world.clock.now())
        expected = {**statement(tx).to_json(), **found.to_json()}
    assert pw.get(pw.application(world), "/status.json").json() == expected


@contextmanager
def _unreachable() -> Iterator[None]:
    raise Unreachable("the ledger's database does not answer")
    yield


@contextmanager
def _broken() -> Iterator[None]:
    raise RuntimeError("secret DE89370400440532013000")
    yield


@pytest.mark.parametrize("path", ["/", "/healthz", "/status.json"])
def test_a_ledger_that_does_not_answer_is_said(world: World, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its ledger the page answers 503, with what is wrong and what happens next."""
    app = pw.application(world)
    monkeypatch.setattr(world.ledger, "look", _unreachable)
    answer = pw.get(app, path)
    assert answer.status_code == 503
    assert "does not answer" in answer.text
    assert "it is tried again" in answer.text


def test_an_unexpected_fault_says_nothing_of_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody expected gives a page without its text, with strict headers all the same."""
    app = pw.application(world)
    monkeypatch.setattr(world.ledger, "look", _broken)
    answer = pw.get(app, "/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
