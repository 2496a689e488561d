"""`tieout prove` and `tieout trace`: exit status, the JSON object and the screen, on a finished demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.wiring import World
from tests.servers.finished_demo import copied_demo
from tieout.__main__ import main


def run(folder: Path, *arguments: str) -> int:
    command, *rest = arguments
    return main([command, "--config", str(folder / "tieout.toml"), *rest])


@pytest.fixture
def names(demo_dir: Path) -> dict[str, str]:
    """One name of everything that can be asked for."""
    with World.open(str(demo_dir / "tieout.toml")).ledger.look() as tx:
        file, run_, mismatch = tx.files.find()[0], tx.runs.find()[0], tx.mismatches.find(kind="status_rejected")[0]
    return {
        "run": f"{run_.source}/{run_.ordinal:06d}",
        "file": file.name,
        "file_id": file.file_id,
        "date": run_.business_date.isoformat(),
        "reference": mismatch.reference,
        "payment": mismatch.payment_id,
    }


@pytest.mark.parametrize("kind", ["run", "file", "file_id", "date"])
def test_a_sound_certificate_exits_0(
    demo_dir: Path, names: dict[str, str], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--json` prints one object with every check and the configuration's hashes; the screen ends with the verdict."""
    assert run(demo_dir, "prove", names[kind], "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["ties"], found["failed"], found["subject"]) == (True, 0, names[kind])
    assert found["checked"] == len(found["checks"])
    assert all(check["holds"] and check["expected"] == check["found"] for check in found["checks"])
    assert set(found["configurations"].values()) == {found["config_hash"]}
    assert any(check["subject"].startswith("audit ") for check in found["checks"])
    assert run(demo_dir, "prove", names[kind]) == 0
    assert capsys.readouterr().out.strip().endswith("all hold: it ties.")


def test_a_certificate_that_fails_exits_1(
    demo_dir: Path, names: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changed object gives exit status 1, and the screen repeats what does not hold with both values."""
    demo = copied_demo(demo_dir, tmp_path / "demo")
    target = next((demo / "store" / "outbound").glob(f"*/*/*/{names['file']}"))
    target.write_bytes(target.read_bytes() + b"\n")
    assert run(demo, "prove", names["file"]) == 1
    shown = capsys.readouterr().out
    assert f"OFF outbound/{target.relative_to(demo / 'store' / 'outbound')}: size in bytes: expected" in shown
    assert shown.strip().endswith("IT DOES NOT TIE.")
    assert run(demo, "prove", names["file"], "--json") == 1
    assert json.loads(capsys.readouterr().out)["ties"] is False


def test_a_changed_audit_record_fails_the_certificate(demo_dir: Path, names: dict[str, str], tmp_path: Path) -> None:
    """Whoever rewrites a record of the run's audit chain loses its certificate."""
    import sqlite3

    demo = copied_demo(demo_dir, tmp_path / "demo")
    with sqlite3.connect(demo / "ledger.db") as connection:
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE chain = 'run:legacy:000001' AND seq = 2")
    connection.close()
    assert run(demo, "prove", names["run"]) == 1
    assert run(demo, "prove", names["file"]) == 0


@pytest.mark.parametrize("command", ["prove", "trace"])
@pytest.mark.parametrize("name", ["nothing", "legacy/000099", "1999-01-01"])
def test_unknown_names(demo_dir: Path, command: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Proving what does not exist is wrong use (2); tracing it is an answer: nothing, and where was looked (1)."""
    assert run(demo_dir, command, name) == (2 if command == "prove" else 1)
    captured = capsys.readouterr()
    assert name in captured.out + captured.err
    assert "next step" in captured.err or "looked in the ledger and in" in captured.out


@pytest.mark.parametrize("kind", ["run", "file", "file_id", "reference", "payment"])
def test_traces_are_found(demo_dir: Path, names: dict[str, str], kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every kind of name is traced, as one JSON object that says what it is, and as lines without control characters."""
    assert run(demo_dir, "trace", names[kind], "--json") == 0
    found = json.loads(capsys.readouterr().out)
    wanted = {"file_id": "file", "reference": "payment"}.get(kind, kind)
    assert (found["found"], found["kind"], found["asked"]) == (True, wanted, names[kind])
    assert len(found[f"{wanted}s"]) == 1
    assert run(demo_dir, "trace", names[kind]) == 0
    shown = capsys.readouterr().out
    assert all(character.isprintable() or character == "\n" for character in shown)
    expected = {
        "run": ["chunk 1: curated", "taken by assembly", "run opened"],
        "file": ["attempt 1: done", "receipt: inbox/", "result ", "sealed: sha256"],
        "payment": ["assigned, file_id", "attempt 1: done", "reported: ", "mismatched (status rejected)", "mismatch "],
    }
    for text in expected[wanted]:
        assert text in shown


def test_a_traced_file_shows_its_chain_of_records(
    demo_dir: Path, names: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The audit records of a file are listed in order, from planned to its last fold, each with its hash."""
    run(demo_dir, "trace", names["file"], "--json")
    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert [each["seq"] for each in file["audit"]] == list(range(1, len(file["audit"]) + 1))
    acts = [each["act"] for each in file["audit"]]
    assert acts[:4] == ["planned", "sealed", "delivering", "delivered"]
    assert acts[-1] == "folded"
    assert all(len(each["hash"]) == 64 for each in file["audit"])
