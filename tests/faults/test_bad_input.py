"""Bad input and faults of the surroundings: said in words, nothing lost, nothing sent twice, the rest of the work goes on."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from functions import batch
from local.demo import acquirer as acquirer_apart
from payments.contacts import of_source, retry_at
from payments.errors import Unreachable
from payments.states import FileState
from reconciliation.statement import statement
from runtime.wiring import World
from tests import service_runner as runner
from tests.servers.process import free_port
from tests.servers.sftp_account import private_key, public_line
from tests.stage_runner import ACK_AND_RESULTS, Stages, stages
from tieout.__main__ import main

POSTPONED = timedelta(seconds=60)
SMALL_FILES = {"rows_per_file_max = 50_000": "rows_per_file_max = 30"}
FREE_ORDER = {'sequence = "strict"': 'sequence = "free"  '}
ROWS_IN_CHUNKS = {'watermark = "CHG_TS"': 'watermark = "CHG_TS"\nrows_per_chunk_max = 50'}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runner.prepared(tmp_path_factory.mktemp("bad") / "demo", payments=120)


@pytest.fixture
def directory(demo: Path, tmp_path: Path) -> Path:
    return runner.copied(demo, tmp_path / "run", free_port(), {})


@pytest.fixture
def at(directory: Path) -> Iterator[Stages]:
    with stages(directory) as found:
        yield found


def delivered_once(directory: Path) -> bool:
    """Every file of the ledger is at the acquirer exactly once, with the bytes that were sealed, and nothing else is."""
    return runner.placed(directory) == runner.sealed(directory) != []


def ties(stages_: Stages) -> bool:
    with stages_.world.ledger.look() as tx:
        return statement(tx).ties


def test_a_missing_secret(at: Stages, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without its key a file waits, says why, and leaves by itself once the key is there."""
    key = directory / "keys" / "client_ed25519"
    aside = key.rename(directory / "aside")
    assert main(["config", "check", "--config", str(directory / "tieout.toml")]) == 2
    assert "secret file:keys/client_ed25519: No such file or directory" in capsys.readouterr().err
    with acquirer_apart(directory):
        at.send("extract", "legacy")
        assert {file.state for file in at.files()} == {FileState.SEALED}
        assert {file.note for file in at.files()} == {"secret file:keys/client_ed25519: No such file or directory"}
        assert runner.placed(directory) == []
        aside.rename(key)
        at.later(POSTPONED)
        at.settle()
        assert delivered_once(directory)


# The surroundings


def test_an_unreachable_ledger(directory: Path) -> None:
    """A ledger's database that does not answer ends every command in time, with a message that says what does not answer."""
    runner.edit(directory, {'url = "sqlite:ledger.db"': f'url = "postgresql://tieout@127.0.0.1:{free_port()}/ledger"'})
    for command in (["status"], ["run", "--no-page"]):
        done = runner.command(directory, *command)
        assert done.returncode == 1
        assert "tieout: the ledger's database ledger at 127.0.0.1:" in done.stderr
        assert "does not answer" in done.stderr
        assert "next step: " in done.stderr
        assert "Traceback" not in done.stderr


def test_an_unreachable_server(at: Stages, directory: Path) -> None:
    """While the acquirer's server is away files wait ever longer, each with the reason; when it is back they leave once."""
    at.send("extract", "legacy")
    first = at.files()
    assert {file.state for file in first} == {FileState.SEALED}
    assert all("could not be asked to connect" in file.note for file in first)
    assert {file.next_attempt_at for file in first} == {at.clock.now() + POSTPONED}
    at.later(POSTPONED)
    at.settle()
    assert {file.next_attempt_at for file in at.files()} == {at.clock.now() + 3 * POSTPONED}
    at.send("collect", "northbank")
    assert at.world.queue.depth("collect") == (0, 0), "the next poll is the schedule's business"
    with acquirer_apart(directory):
        at.later(3 * POSTPONED)
        at.settle()
        assert delivered_once(directory)
        assert ties(at)


def test_a_wrong_host_key(at: Stages, directory: Path) -> None:
    """To a server with another host key nothing is sent, and the reason names server and key; the right key ends it."""
    runner.edit(directory, {known_host_key(directory): public_line(private_key())})
    with acquirer_apart(directory):
        with stages(directory) as mistaken:
            mistaken.send("extract", "legacy")
            assert {file.state for file in mistaken.files()} == {FileState.SEALED}
            assert all("SHA256:" in file.note and "127.0.0.1" in file.note for file in mistaken.files())
            assert {file.delivered_at for file in mistaken.files()} == {None}
            assert runner.placed(directory) == []
        batch.use(at.world)
        at.later(POSTPONED)
        at.settle()
        assert delivered_once(directory)


def known_host_key(directory: Path) -> str:
    text = (directory / "tieout.toml").read_text()
    return text.split('host_keys = ["')[1].split('"')[0]


def test_a_full_disk(
    at: Stages, directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a full disk every stage says so and waits; with space again the work goes on by itself and nothing is missing."""
    write, spent = os.fsync, {"left": 0}

    def full(number: int) -> None:
        if spent["left"] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        spent["left"] -= 1
        write(number)

    monkeypatch.setattr("runtime.store_file.os.fsync", full)
    with acquirer_apart(directory):
        at.send("extract", "legacy")
        for room in (0, 9, 9, 9, 9, 9):
            spent["left"] = room
            retry_at_once(at)
        assert sum("no space left at" in record.getMessage() for record in caplog.records) >= 4
        assert all(
            "Free space" in record.getMessage() for record in caplog.records if "no space" in record.getMessage()
        )
        spent["left"] = 1_000
        retry_at_once(at)
        at.settle()
        assert delivered_once(directory)
        assert ties(at)


def retry_at_once(at: Stages) -> None:
    """What failed comes again now, not after its rest: messages, and the source that waits in the ledger."""
    with at.world.ledger.begin() as tx:
        tx.connection.exec_driver_sql("UPDATE notices SET visible_ms = 0, receives = 0")
        waits = retry_at(tx.contacts.get(of_source("legacy"))) is not None
    if waits:
        at.send("extract", "legacy")
    at.settle()


def test_a_full_disk_under_the_ledger(at: Stages) -> None:
    """Where the ledger itself cannot grow the stage fails with a message that says so, and works once there is space."""

    def bounded(connection: sqlite3.Connection, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    engine = at.world.ledger.engine
    engine.dispose()
    event.listen(engine, "connect", bounded)
    try:
        with pytest.raises(Unreachable, match=r"the disk of the ledger's file .*ledger.db is full") as full:
            fill(at)
        assert full.value.next_step == "Free space; nothing was lost."
    finally:
        event.remove(engine, "connect", bounded)
        engine.dispose()
    with at.world.ledger.begin() as tx:
        tx.connection.exec_driver_sql("DELETE FROM notices")
    at.send("extract", "legacy")
    assert {file.state for file in at.files()} == {FileState.SEALED}


def test_a_full_disk_under_a_library(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk that a library meets while it writes is said in the same words, and only its message comes again."""
    monkeypatch.setattr(batch, "_watches", [lambda _body: nullcontext()])  # as a worker's, on one machine

    def act(body: str) -> None:
        if body == "spools":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "part.parquet")

    bodies = {"1": "spools", "2": "does not"}
    records = [{"messageId": name, "body": body, "eventSource": "aws:sqs"} for name, body in bodies.items()]
    assert batch.handle({"Records": records}, act) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    said = [record.getMessage() for record in caplog.records if record.name == "functions.batch"]
    assert said == ["Unreachable: no space left on this machine. Free space: nothing was lost."]


def fill(at: Stages) -> None:
    """Write until the free pages of the ledger are used up."""
    for _ in range(200):
        at.world.queue.send("read", "x" * 3_000)


# Objects that changed


@pytest.mark.parametrize("kind", ["not Parquet", "other rows"])
def test_a_raw_object_that_changed(directory: Path, kind: str) -> None:
    """A raw object whose bytes changed stops its run with a reason that names it; the next run is sent as if nothing were."""
    runner.edit(directory, ROWS_IN_CHUNKS)
    with stages(directory) as at, acquirer_apart(directory):
        at.world.extract_source("legacy")
        other, spoilt = at.stored("raw/legacy/2026-03-02/000001/")[:2]
        overwrite(spoilt, b"this is no Parquet" if kind == "not Parquet" else other.read_bytes())
        at.settle()
        with at.world.ledger.look() as tx:
            run = tx.runs.find(source="legacy")[0]
            chunks = tx.chunks.find(source="legacy", run=1)
        assert "raw/legacy/2026-03-02/000001/00002.parquet" in run.note
        assert run.state not in {"curated", "assembled"}
        assert [chunk.state for chunk in chunks if chunk.ordinal != 2] == ["curated"] * (len(chunks) - 1)
        assert at.files() == []
        at.later(timedelta(hours=5))
        at.send("extract", "legacy")
        assert delivered_once(directory)
        with at.world.ledger.look() as tx:
            assert [run.state for run in tx.runs.find(source="legacy")][1] == "assembled"
            books = statement(tx)
        assert books.terms["extracted"].count + books.in_flight.count == sum(chunk.rows for chunk in every_chunk(at))


def every_chunk(at: Stages) -> list[object]:
    with at.world.ledger.look() as tx:
        return list(tx.chunks.find())


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)


@pytest.mark.parametrize("order", ["free", "strict"])
def test_an_outbound_file_that_changed(directory: Path, order: str) -> None:
    """A sealed file whose bytes changed is held and never sent; where the acquirer takes any order its neighbours leave."""
    runner.edit(directory, {**SMALL_FILES, **(FREE_ORDER if order == "free" else {})})
    with stages(directory) as at:
        at.send("extract", "legacy")
        files = [file for file in at.files() if file.acquirer == "northbank"]
        assert len(files) >= 3
        changed = at.stored(f"outbound/northbank/2026-03-02/{files[1].file_id}/")[0]
        overwrite(changed, changed.read_bytes().replace(b"CRDT", b"DBIT", 1))
        with acquirer_apart(directory):
            at.later(POSTPONED)
            at.settle()
        found = {file.name: file for file in at.files()}
        held = found.pop(files[1].name)
        assert "the stored bytes are not those that were sealed" in held.held
        assert files[1].name in held.held
        assert held.state == FileState.SEALED
        behind = [file for file in found.values() if file.acquirer == "northbank" and file.sequence > held.sequence]
        left = FileState.DELIVERED if order == "free" else FileState.SEALED
        assert {file.state for file in behind} == {left}
        assert held.name not in {name for name, _sha256 in runner.placed(directory)}
        assert ties(at)


def test_result_files_that_cannot_be_read(at: Stages, directory: Path) -> None:
    """A result file that was cut off, or is none at all, is set aside with an alarm; its neighbours are reconciled."""
    outbox = directory / "acquirer" / "northbank" / "outbox"
    with acquirer_apart(directory):
        at.send("extract", "legacy")
        at.later(ACK_AND_RESULTS)
        at.acquirer_done()
        whole = next(path for path in outbox.iterdir() if path.name.endswith(".result.1"))
        cut_off = whole.read_bytes().rpartition(b"\nRT,")[0][:-9]
        (outbox / f"{whole.name[:-1]}8").write_bytes(cut_off)
        (outbox / f"{whole.name[:-1]}9").write_bytes(os.urandom(5_000))
        at.send("collect", "northbank")
        with at.world.ledger.look() as tx:
            states = {result.name: result.state for result in tx.results.find(acquirer="northbank")}
            alarms = tx.mismatches.find(kind="file_unreadable")
        assert states.pop(f"{whole.name[:-1]}8") == states.pop(f"{whole.name[:-1]}9") == "unreadable"
        assert set(states.values()) == {"read"}
        assert sorted(alarm.detail["name"][-2:] for alarm in alarms) == [".8", ".9"]
        file = next(file for file in at.files() if file.acquirer == "northbank")
        assert file.matched.count > 0
        assert ties(at)
        assert World.open(str(directory / "tieout.toml")).queue.depth("read") == (0, 0)


@pytest.fixture(autouse=True)
def _warnings_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
