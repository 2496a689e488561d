"""tieout rehearse: the built-in scenarios end as they must, a lie is found out, and the server prints what to paste."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

import local.rehearsal
from local.rehearsal_scenarios import BY_NAME, SCENARIOS
from payments.config import Sftp
from payments.states import FileState
from tests.servers.process import until
from tieout.__main__ import main
from transfer.deliver import DeliverPorts
from transfer.sftp import connect

ROOT = Path(__file__).resolve().parents[3]


def test_all_built_in_scenarios_end_as_they_must(capsys: pytest.CaptureFixture[str]) -> None:
    """Our own delivery is judged honest in each of them, and every one is reported once."""
    assert main(["rehearse", "--scenario", "all", "--exit", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["honest"]
    assert [each["scenario"] for each in said["scenarios"]] == [each.name for each in SCENARIOS]
    tries = {each["scenario"]: each["attempts"] for each in said["scenarios"]}
    lost = [name for name in tries if "-reply-lost" in name]
    settled = [name for name in lost if name.startswith("rename-")]  # by looking: nothing is sent again
    again = [name for name in tries if name.startswith("cut-at-") or (name in lost and name not in settled)]
    assert {tries[name] for name in [*again, "third-write-refused"]} == {2}, "a fault did not happen"
    assert {tries[name] for name in settled} == {1}, "a file whose rename may have happened was sent again"
    assert {each["ended"] for each in said["scenarios"]} == {
        "delivered",
        "in_doubt",
        "waiting",
        "collected",
        "left_alone",
    }


def test_a_delivery_that_lies_is_found_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A delivery that calls everything delivered fails the rehearsal, and the contradiction is printed."""

    def claims(ports: DeliverPorts) -> bool:
        with ports.ledger.begin() as tx:
            for file in tx.files.find(acquirer=ports.acquirer.name):
                tx.files.change(file, state=str(FileState.DELIVERED))
        return True

    monkeypatch.setattr(local.rehearsal, "deliver", claims)
    assert main(["rehearse", "--scenario", "cut-at-50", "--exit"]) == 1
    out = capsys.readouterr().out
    assert "NOT cut-at-50" in out
    assert "delivered, and the acquirer does not have it" in out
    assert "0 of 1 ended as they had to" in out


def test_an_end_that_is_another_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A scenario that ends otherwise than it must fails although nothing was claimed."""
    monkeypatch.setitem(BY_NAME, "plain", replace(BY_NAME["plain"], must_end="in_doubt"))
    assert main(["rehearse", "--scenario", "plain", "--exit"]) == 1
    assert "had to end as in_doubt" in capsys.readouterr().out


def test_scenarios_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Every name that --scenario takes, with what it means."""
    assert main(["rehearse", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(each.name in out and each.says in out for each in SCENARIOS)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--scenario", "nothing"], "there is no scenario 'nothing'"),
        (["--scenario", "all"], "cannot play all scenarios"),
        (["--scenario", "plain", "--silent"], "switches of its own"),
        (["--exit", "--refuse", "open"], "switches of its own"),
        (["--dir", "{tmp}"], "no rehearsal made it"),
        (["--dir", "{tmp}/new", "--port", "70000"], "is no port"),
    ],
)
def test_wrong_use_is_said(given: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong arguments end with status 2 and a next step; a folder of somebody else is not touched."""
    (tmp_path / "other").touch()
    assert main(["rehearse", *[each.replace("{tmp}", str(tmp_path)) for each in given]]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert "next step: " in err


def test_a_taken_port_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody listens there already: status 2, and the way out."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert main(["rehearse", "--dir", str(tmp_path / "new"), "--port", str(other.getsockname()[1])]) == 2
    assert "Give a free `--port`" in capsys.readouterr().err


def rehearsal(folder: Path, *given: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tieout", "rehearse", "--dir", str(folder), *given]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_prints_what_to_paste_and_what_it_saw(tmp_path: Path, number: signal.Signals) -> None:
    """The snippet is a whole [acquirer.sftp]; a client that writes to the last name is told to have shown parts."""
    folder, source = tmp_path / "rehearsal", tmp_path / "source"
    source.write_bytes(b"x" * 1_000_000)
    process = rehearsal(folder, "--json", "--lose-reply", "rename")
    try:
        assert process.stderr is not None
        lines: list[str] = []
        until(lambda: lines.append(process.stderr.readline()) or lines[-1].startswith("# serving"), "the server", 30)
        sftp = msgspec.convert(tomllib.loads("".join(lines))["acquirer"]["sftp"], Sftp)
        with connect(sftp, key=Path(sftp.key.removeprefix("file:")).read_bytes(), password=None) as drop:
            drop.upload(source, "inbox/careless.csv")
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait(10)
    assert (process.returncode, err) == (0, "")
    seen = json.loads(out)
    assert seen["connections"] == 1
    assert seen["requests"]["write"] >= 1
    [file] = seen["files"]
    assert (file["name"], file["partial"]) == ("careless.csv", True)
    assert file["contents"][-1]["size"] == 1_000_000
    assert [each["name"] for each in seen["held"]] == ["careless.csv"]
