"""The commands of every day: arguments, JSON, screens, exit status, and what they import."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from payments.books import INCOMING_TERMS, TERMS, Total
from payments.records import Mismatch, OutboundFile, Run
from payments.states import MismatchKind, MismatchState
from runtime.wiring import World
from tests.contract.ledger_world import NOON, sample
from tests.servers.process import free_port, until
from tests.unit.local.small_world import acquirer, source
from tieout.__main__ import COMMANDS, main

TEN = Total(10, {"EUR/CRDT": 1_234_567, "JPY/DBIT": 5})
HEAVY = {"numpy", "pyarrow", "duckdb", "paramiko", "boto3", "obstore", "alembic", "lxml", "starlette", "asyncssh"}


def mismatch(number: int, **given: Any) -> Mismatch:
    fields = {"id": f"m{number:03d}", "kind": "amount_differs", "state": "open", "reference": f"R{number}"}
    money = {"currency": "EUR", "direction": "CRDT", "expected_minor": 123456, "reported_minor": -5}
    return sample(Mismatch, **{**fields, **money, "file_id": "f1", "detail": {"amount": [1, 2]}, **given})  # type: ignore[no-any-return]


def add(world: World, *mismatches: Mismatch) -> None:
    with world.ledger.begin() as tx:
        tx.replace_mismatches(list(mismatches), [])


# status


def test_status_of_an_empty_ledger_ties_and_agrees(tieout: Any) -> None:
    """Every term stands at the top level of one object, all zero; the screen says what to do first; the status is 0."""
    status, out, err = tieout("status", "--json")
    shown = json.loads(out)
    assert (status, err) == (0, "")
    assert {term: shown[term]["count"] for term in TERMS} == dict.fromkeys(TERMS, 0)
    assert shown["incoming"] == dict.fromkeys(INCOMING_TERMS, 0)
    assert shown["mismatches_by_kind"] == {str(kind): 0 for kind in MismatchKind}
    assert (shown["ties"], shown["agrees"], shown["difference_minor"]) == (True, True, {})
    status, out, _ = tieout("status")
    assert status == 0
    assert "no run yet: tieout extract SOURCE" in out
    assert "The books tie. Nothing was delivered yet that the acquirer could disagree with." in out


def test_silence_is_not_called_agreement(world: World, tieout: Any) -> None:
    """What is not delivered or not answered stands beside the verdict; only answers make an acquirer agree."""
    run = sample(Run, source="legacy", state="assembled", extracted=TEN, curated=TEN, assembly=1)
    file = sample(OutboundFile, file_id="f1", name="n_1.csv", state="sealed", held="", total=TEN, note="", attempts=0)
    with world.ledger.begin() as tx:
        tx.runs.add(run)
        tx.files.add(file)
    assert "Nothing disagrees so far: 10 payments are not delivered." in tieout("status")[1]
    with world.ledger.begin() as tx:
        file = tx.files.change(file, state="delivered", awaiting=TEN)
    assert "Nothing disagrees so far: 10 await an answer." in tieout("status")[1]
    with world.ledger.begin() as tx:
        tx.files.change(file, state="reconciled", awaiting=Total(), matched=TEN)
    assert "The books tie. The acquirer agrees." in tieout("status")[1]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"state": "sealed", "held": "limit: 9 payments"}, "n_1.csv is held: limit: 9 payments"),
        ({"state": "in_doubt", "note": "the answer was lost"}, "n_1.csv is in doubt: the answer was lost"),
        ({"state": "sealed", "attempts": 3, "note": "login refused"}, "n_1.csv has not left: login refused"),
    ],
)
def test_a_file_that_does_not_leave_by_itself_is_told(
    world: World, tieout: Any, fields: dict[str, Any], text: str
) -> None:
    """A monitor that watches the exit status sees a file that is held, in doubt, or refused again and again."""
    plain = {"held": "", "note": "", "attempts": 0, "next_attempt_at": None}
    with world.ledger.begin() as tx:
        tx.files.add(sample(OutboundFile, file_id="f1", name="n_1.csv", **(plain | fields)))
    status, out, _ = tieout("status", "--json")
    assert (status, json.loads(out)["stuck"]) == (1, [text])
    screen = tieout("status")[1]
    assert f"{'IN DOUBT' if fields['state'] == 'in_doubt' else 'STUCK'}: {text}" in screen
    assert screen.startswith("IN DOUBT") == (fields["state"] == "in_doubt")


def test_status_shows_runs_files_mismatches_and_the_verdict(world: World, tieout: Any) -> None:
    """One screen: runs, files with their state and note, open mismatches by kind, and that the acquirer does not agree."""
    given = {"source": "legacy", "state": "stopped", "extracted": TEN, "curated": TEN, "assembly": None}
    file = sample(OutboundFile, file_id="f1", name="n_1.csv", state="delivered", held="", total=TEN, matched=TEN)
    with world.ledger.begin() as tx:
        tx.runs.add(sample(Run, **given, ordinal=7, note="books off\x1b[2J"))
        tx.files.add(replace(file, acquirer="northbank", overdue=True, note=""))
    add(world, mismatch(1), mismatch(2, state="resolved"))
    status, out, _ = tieout("status")
    assert status == 1
    for part in (
        "legacy/000007",
        "books off\\x1b[2J",
        "n_1.csv",
        "overdue",
        "12,345.67",
        "amount_differs",
        "DO NOT TIE",
    ):
        assert part in out
    assert "\x1b" not in out
    assert "does not agree" in out
    shown = json.loads(tieout("status", "--json")[1])
    assert (shown["ties"], shown["agrees"]) == (False, False)
    assert shown["matched"] == {"count": 10, "amount_minor": TEN.amount_minor}
    assert shown["mismatches_by_kind"]["amount_differs"] == 1


def test_status_of_books_that_tie_and_do_not_agree_exits_1(world: World, tieout: Any) -> None:
    """One open mismatch is enough; closed, it counts no more."""
    add(world, mismatch(1))
    status, out, _ = tieout("status", "--json")
    assert (status, json.loads(out)["ties"], json.loads(out)["agrees"]) == (1, True, False)
    with world.ledger.begin() as tx:
        tx.replace_mismatches([], [mismatch(1, state="resolved")])
    assert tieout("status")[0] == 0


def test_status_says_which_messages_were_given_up(world: World, tieout: Any) -> None:
    """Messages that failed too often are counted by stage."""
    world.queue.send("read", "poison")
    for _ in range(6):
        for message in world.queue.receive("read", limit=1, visibility=timedelta(seconds=60)):
            world.queue.release("read", message.receipt, delay=timedelta())
    assert "messages given up, by stage: read 1" in tieout("status")[1]


def test_status_imports_only_what_it_uses(world: World, pytestconfig: pytest.Config) -> None:
    """On a ledger that needs no migration no engine, driver or vendor's package is imported."""
    world.ledger  # noqa: B018  (made and migrated)
    for options in ("'--json'", ""):
        code = (
            "import sys; from tieout.__main__ import main\n"
            f"main(['status', '--config', {world.settings.path!r}, {options}]); print(*sorted(sys.modules))"
        )
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=pytestconfig.rootpath, capture_output=True, text=True, timeout=60, check=True
        )
        assert HEAVY & set(done.stdout.rpartition("}")[2].split()) == set()


def test_the_command_line_itself_is_light(pytestconfig: pytest.Config) -> None:
    """Help and wrong use are answered without the ledger's library."""
    code = "import sys; from tieout.__main__ import parser; parser(); print(*sorted(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=pytestconfig.rootpath, capture_output=True, text=True, timeout=60, check=True)
    assert {*HEAVY, "sqlalchemy", "msgspec"} & set(done.stdout.split()) == set()


def test_the_version_is_said_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`tieout --version` prints it and ends well."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"tieout \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mismatches", "--date", "2.3.2026"], "'2.3.2026' is no date; write it like 2026-03-02"),
        (["mismatches", "--limit", "-1"], "'-1': write how many, or 0 for all"),
        (["mismatches", "--limit", "ten"], "'ten': write how many, or 0 for all"),
        (["acquirer", "north", "keys", "--from", "noon"], "'noon' is no time; write for instance 2026-05-01T00:00Z"),
    ],
)
def test_a_wrong_value_is_answered_with_the_form_that_is_wanted(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, before anything is looked at; nobody has to guess."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["audit", "verify"], ["config", "check"], ["status"]])
def test_help_says_how_the_configuration_is_found(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Also that of commands with an action."""
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    assert "--config CONFIG" in capsys.readouterr().out


# mismatches, mismatch


def listed(tieout: Any, *options: str) -> list[str]:
    status, out, _ = tieout("mismatches", "--json", *options)
    assert status == 0
    return [each["id"] for each in json.loads(out)["mismatches"]]


def test_mismatches_are_filtered_and_paged(world: World, tieout: Any) -> None:
    """Open ones by default, filtered by any field, in pages that go on behind an id; the count is that of all."""
    add(
        world,
        mismatch(1),
        mismatch(2, kind="returned", acquirer="giro"),
        mismatch(3, state="resolved"),
        mismatch(4, business_date=date(2026, 3, 3), file_id="f2"),
        mismatch(5, state="reopened"),
    )
    assert listed(tieout) == ["m001", "m002", "m004", "m005"]
    assert listed(tieout, "--all") == ["m001", "m002", "m003", "m004", "m005"]
    assert listed(tieout, "--kind", "returned") == listed(tieout, "--acquirer", "giro") == ["m002"]
    assert listed(tieout, "--state", "resolved") == ["m003"]
    assert listed(tieout, "--date", "2026-03-03") == listed(tieout, "--file", "f2") == ["m004"]
    assert listed(tieout, "--limit", "2") == ["m001", "m002"]
    for option in ("--acquirer", "--file"):
        status, _, err = tieout("mismatches", option, "nobody")
        assert status == 2, option
        assert "there is no" in err
    assert listed(tieout, "--limit", "2", "--after", "m002") == ["m004", "m005"]
    assert listed(tieout, "--limit", "0", "--all") == ["m001", "m002", "m003", "m004", "m005"]
    assert json.loads(tieout("mismatches", "--json", "--limit", "1")[1])["count"] == 4


def test_what_is_left_is_what_lies_behind_the_last_one_listed(world: World, tieout: Any) -> None:
    """Page by page the rest becomes less, and nothing is said when there is none. An id that left the filter is a place all the same."""
    add(world, *(mismatch(number) for number in range(1, 9)), mismatch(9, state="resolved"))
    rest = re.compile(r"\n[0-9,]+ more: --after .*, or --limit\n$")
    for options, said in (
        ((), "\n5 more: --after m003, or --limit\n"),
        (("--after", "m003"), "\n2 more: --after m006, or --limit\n"),
        (("--after", "m006"), ""),
        (("--after", "m008"), ""),
        (("--after", "m009"), ""),
        (("--all", "--after", "m005"), "\n1 more: --after m008, or --limit\n"),
    ):
        found = rest.search(tieout("mismatches", "--limit", "3", *options)[1])
        assert (found[0] if found else "") == said, options


@pytest.mark.parametrize("options", [[], ["--json"], ["--all"]])
def test_nothing_lies_behind_an_id_that_there_is_not(world: World, tieout: Any, options: list[str]) -> None:
    """Exit status 2 and the id, as for any other name that nothing bears."""
    add(world, mismatch(1))
    status, out, err = tieout("mismatches", "--after", "z\x1b", *options)
    assert (status, out) == (2, "")
    assert "there is no mismatch 'z\\x1b'" in err


def test_a_mismatch_of_a_whole_file_is_listed_by_its_name(world: World, tieout: Any) -> None:
    """It has no payment reference, and the name says which file is meant; one of a payment shows its reference."""
    whole = {"kind": "file_unreadable", "file_id": "", "detail": {"name": "n_1.csv.final", "why": "no trailer"}}
    add(world, mismatch(1, reference="", **whole), mismatch(2, detail={"name": "other.csv"}))
    first, second = tieout("mismatches")[1].splitlines()[1:]
    assert "n_1.csv.final" in first
    assert "R2" in second
    assert "other.csv" not in second


def test_mismatches_on_the_screen(world: World, tieout: Any) -> None:
    """A table with money in major units, and how to see the rest; hostile text cannot move the cursor."""
    add(world, mismatch(1, reference="R\x1b[2J\u202e"), mismatch(2, expected_minor=None))
    out = tieout("mismatches", "--limit", "1")[1]
    assert "1,234.56" in out
    assert "-0.05" in out
    assert "1 more: --after m001, or --limit" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


@pytest.mark.parametrize(
    "options", [["--kind", "lost"], ["--state", "gone"], ["--date", "yesterday"], ["--limit", "-1"], ["--limit", "x"]]
)
def test_a_wrong_filter_is_wrong_use(tieout: Any, options: list[str]) -> None:
    """Exit status 2, and nothing is listed."""
    with pytest.raises(SystemExit) as caught:
        tieout("mismatches", *options)
    assert caught.value.code == 2


def test_one_mismatch_is_shown_with_its_file(world: World, tieout: Any) -> None:
    """Everything known of it, times as text, and what to look at next."""
    with world.ledger.begin() as tx:
        tx.files.add(sample(OutboundFile, file_id="f1", name="n_1.csv", state="delivered"))
    add(world, mismatch(1))
    status, out, _ = tieout("mismatch", "m001", "--json")
    shown = json.loads(out)
    assert status == 0
    assert (shown["file"], shown["file_state"], shown["expected_minor"]) == ("n_1.csv", "delivered", 123456)
    assert shown["opened_at"] == NOON.isoformat()
    status, out, _ = tieout("mismatch", "m001", "show")
    assert status == 0
    assert "next: tieout trace R1" in out


def test_an_unknown_mismatch_is_wrong_use(tieout: Any) -> None:
    """Exit status 2, the id, and where to find one."""
    status, out, err = tieout("mismatch", "m\x1b")
    assert (status, out) == (2, "")
    assert "no mismatch 'm\\x1b'" in err
    assert "next step: `tieout mismatches`" in err


def test_every_state_and_kind_can_be_asked_for(tieout: Any) -> None:
    """No state or kind is missing from the filters."""
    for state in MismatchState:
        assert listed(tieout, "--state", str(state)) == []
    for kind in MismatchKind:
        assert listed(tieout, "--kind", str(kind)) == []


# audit, extract, run


def test_a_whole_audit_log_is_verified(world: World, tieout: Any) -> None:
    """An untouched log exits 0 with its number of records; a changed one exits 1 and names the record."""
    with world.ledger.begin() as tx:
        tx.audit.append("file:f1", "sealed", {})
    status, out, _ = tieout("audit", "verify")
    assert (status, out.splitlines()[0]) == (0, "1 records, every chain is whole.")
    with world.ledger.engine.connect() as connection:
        connection.exec_driver_sql("UPDATE audit SET act = 'forged'")
    status, out, _ = tieout("audit", "verify", "--json")
    assert status == 1
    found = json.loads(out)
    assert (found["records"], found["faults"], found["whole"]) == (1, ["file:f1: record 1 was changed"], False)
    assert "file:f1: record 1 was changed" in tieout("audit", "verify")[1]


def legacy(world: World, rows: int) -> None:
    """The source database that the small configuration names."""
    connection = sqlite3.connect(world.settings.base / "legacy.db")
    connection.execute("CREATE TABLE payment (id INTEGER PRIMARY KEY, changed TEXT, a TEXT, c TEXT, d TEXT, r TEXT)")
    row = ("2026-03-02 05:00:00", "5.04", "EUR", "CRDT", "2026-03-02")
    connection.executemany("INSERT INTO payment VALUES (?, ?, ?, ?, ?, ?)", [(n, *row) for n in range(rows)])
    connection.commit()
    connection.close()


def test_one_extraction_now(world: World, tieout: Any) -> None:
    """The run is told with its sums, its chunks wait for the service, and a second extraction finds nothing new."""
    legacy(world, 3)
    status, out, _ = tieout("extract", "legacy", "--json")
    assert status == 0
    extracted = {"count": 3, "amount_minor": {"EUR/CRDT": 1512}}
    assert json.loads(out) == {"source": "legacy", "run": 1, "extracted": extracted}
    assert world.queue.depth("curate") == (2, 0)  # one chunk and the manifest
    assert json.loads(tieout("extract", "legacy", "--json")[1]) == {"run": None}
    assert tieout("extract", "legacy")[:2] == (0, "legacy: nothing new\n")


def test_an_extraction_that_cannot_be_done(world: World, tieout: Any) -> None:
    """An unknown source or file is wrong use; a database that does not answer is work that failed."""
    away = source("away").replace("sqlite:away.db", f"postgresql://t@127.0.0.1:{free_port()}/books")
    Path(world.settings.path).write_text(source() + away + acquirer())
    status, _, err = tieout("extract", "other")
    assert status == 2
    assert "there is no source 'other'; configured: legacy, away" in err
    status, _, err = tieout("extract", "legacy")
    assert status == 2
    assert "legacy" in err
    status, out, err = tieout("extract", "away")
    assert (status, out) == (1, "")
    assert "away" in err
    assert "next step:" in err


def test_an_extraction_that_is_tried_for_a_while(world: World, tieout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It rests between its tries, each of which the ledger is told of, and ends like the last; no number of minutes is wrong use."""
    rests: list[float] = []
    monkeypatch.setattr(time, "sleep", rests.append)
    away = source("away").replace("sqlite:away.db", f"postgresql://t@127.0.0.1:{free_port()}/books")
    Path(world.settings.path).write_text(away + acquirer())
    assert tieout("extract", "away", "--try-for", "4")[0] == 1
    assert rests == [60, 120]
    with world.ledger.look() as tx:
        assert [each.failures for each in tx.contacts.find()] == [3]
    with pytest.raises(SystemExit, match="2"):
        tieout("extract", "away", "--try-for", "121")


def test_an_extraction_says_who_goes_on(world: World, tieout: Any) -> None:
    """Where queues are not in the ledger, no `tieout run` is asked for: nobody could start one there."""
    legacy(world, 1)
    assert "start `tieout run`" in tieout("extract", "legacy")[1]
    path = Path(world.settings.path)
    path.write_text(f'{path.read_text()}[queue]\nurl = "sqs:eu-central-1"\n')
    with sqlite3.connect(world.settings.base / "legacy.db") as connection:
        connection.execute("UPDATE payment SET changed = '2026-03-02 05:30:00'")
    connection.close()
    status, out, _ = tieout("extract", "legacy")
    assert (status, "tieout run" in out) == (0, False)
    assert "`tieout status` shows how far they are" in out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_service_ends_in_order(world: World, pytestconfig: pytest.Config, number: signal.Signals) -> None:
    """`tieout run` works until it is told to end; then it stops its workers and exits 0."""
    command = [sys.executable, "-m", "tieout", "run", "--no-page", "--config", world.settings.path]
    with subprocess.Popen(
        command, cwd=pytestconfig.rootpath, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as service:
        until((world.settings.base / "service.lock").exists, "the service to start", 60)
        world.queue.send("read", "poison")
        until(lambda: _received(world) > 0, "a worker to take a message", 60)
        service.send_signal(number)
        out, err = service.communicate(timeout=30)
    assert (service.returncode, out) == (0, b""), err
    assert all(json.loads(line)["message"] for line in err.splitlines())


def test_the_service_does_not_start_without_a_secret(world: World, tieout: Any) -> None:
    """A key file that is missing is said before anything starts; no ledger is made."""
    (world.settings.base / "key").unlink()
    status, _, err = tieout("run", "--no-page")
    assert status == 2
    assert "secret file:key" in err
    assert not (world.settings.base / "ledger.db").exists()


def _received(world: World) -> int:
    with world.ledger.engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT coalesce(max(receives), 0) FROM notices").scalar_one())


# The command line


def test_without_a_configuration_there_is_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands that need one exit 2 and say how to give it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIEOUT_CONFIG", raising=False)
    for arguments in (["status"], ["run"], ["extract", "x"], ["mismatches"], ["config", "check"], ["audit", "verify"]):
        assert main(arguments) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert "tieout.toml" in said.err
        assert "next step: Give --config FILE" in said.err


@pytest.mark.parametrize("arguments", [[], ["no-such"], ["status", "--no-such"], ["extract"], ["config"], ["audit"]])
def test_wrong_use_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What the command line does not know is refused with its usage."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: tieout" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` works for each, and exits 0."""
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: tieout {command}")


def test_a_reader_that_leaves_early_is_no_fault(world: World, pytestconfig: pytest.Config) -> None:
    """When the pipe behind a command closes, it ends without a traceback."""
    add(world, *[mismatch(number) for number in range(999)])
    command = [sys.executable, "-m", "tieout", "mismatches", "--limit", "0", "--config", world.settings.path]
    with subprocess.Popen(command, cwd=pytestconfig.rootpath, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(60) == 1
