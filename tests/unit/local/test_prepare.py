"""Preparing a demo: the configuration is valid, keys fit, a directory is used again or refused."""

import csv
import json
import socket
import sqlite3
import tomllib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from local.acquirer.settings import load
from local.demo_files import READ_AT, runs_at
from local.prepare import MARKER, prepare
from payments.config import Configuration
from payments.errors import NotAllowed

BOTH = ("delimited", "pain")


def configuration(path: Path) -> Configuration:
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Configuration)


def test_configuration_is_valid(tmp_path: Path) -> None:
    """The written tieout.toml is a valid configuration whose clock, source, curation and acquirer fit together."""
    found = configuration(prepare(tmp_path / "demo", payments=50, seed=3))
    assert found.clock.start == datetime(2026, 3, 2, 5, tzinfo=UTC)
    assert found.clock.end == found.clock.start + timedelta(hours=44)
    assert found.clock.peer == "acquirer/clock"
    [source] = found.source
    assert (source.name, source.primary_key, source.watermark_type) == ("legacy", ["PAY_NO"], "epoch_ms")
    assert source.schedule.at == list(READ_AT)
    [acquirer] = found.acquirer
    assert (acquirer.name, acquirer.sequence, acquirer.complete_when) == ("northbank", "strict", "trailer")
    assert (acquirer.results.due_after_s, acquirer.results.collect_every_s) == (28_800, 3_600)
    assert [route.acquirer for route in found.curation.route] == ["northbank"]


def test_configuration_names_what_is_there(tmp_path: Path) -> None:
    """Every column, file and table that the configuration names exists in the directory."""
    directory = tmp_path / "demo"
    found = configuration(prepare(directory, payments=50, seed=3))
    [source], reference = found.source, found.curation.reference_table
    with closing(sqlite3.connect(directory / source.url.removeprefix("sqlite:"))) as database:
        columns = {name for _, name, *_ in database.execute(f"PRAGMA table_info({source.table})")}
    assert source.stopped
    assert {*source.columns.values(), *source.primary_key, source.watermark, source.stopped.column} <= columns
    assert reference
    with (directory / reference.path).open(encoding="utf-8", newline="") as file:
        agents = list(csv.DictReader(file))
    assert {reference.key, reference.take} <= set(agents[0])
    with closing(sqlite3.connect(directory / "legacy.db")) as database:
        used = {bic for (bic,) in database.execute("SELECT DISTINCT DEBTOR_BIC FROM PAYMENT_JOURNAL")}
    assert used <= {agent[reference.key] for agent in agents}


def test_keys_fit(tmp_path: Path) -> None:
    """The pinned host key and the authorised key belong to the private keys, which only their owner may read."""
    directory = tmp_path / "demo"
    [acquirer] = configuration(prepare(directory, payments=20, seed=3)).acquirer
    keys = {
        directory / acquirer.sftp.key.removeprefix("file:"): directory / "acquirer/keys/authorized_keys",
        directory / "acquirer/keys/host_ed25519": None,
    }
    for private, listed in keys.items():
        assert private.stat().st_mode & 0o777 == 0o600
        key = load_ssh_private_key(private.read_bytes(), password=None)
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        assert [public] == (listed.read_text().splitlines() if listed else acquirer.sftp.host_keys)


def test_acquirer_understands_its_settings(tmp_path: Path) -> None:
    """The stand-in acquirer accepts its settings, which agree with tieout.toml about names, formats and the free port."""
    directory = tmp_path / "demo"
    found = configuration(prepare(directory, payments=20, seed=3, formats=BOTH))
    settings = load(directory)
    assert settings.seed == 3
    assert [(each.name, each.format, each.results_list) for each in settings.partners] == [
        (each.name, each.format, each.results_list) for each in found.acquirer
    ]
    assert {each.sftp.port for each in found.acquirer} == {settings.port}
    with socket.socket() as probe:
        probe.bind((settings.host, settings.port))
    late = max(each.late_delay_s for each in settings.partners)
    assert late < min(each.results.due_after_s for each in found.acquirer)


def test_pain_adds_an_acquirer_and_a_route(tmp_path: Path) -> None:
    """With pain a second acquirer takes part of the EUR credits, by a route before the one that takes all."""
    found = configuration(prepare(tmp_path / "demo", payments=20, seed=3, formats=BOTH))
    giro = found.acquirer_named("giro")
    assert giro
    assert (giro.format, giro.results.format, giro.results_list) == ("pain.001.001.09", "pain.002", "exceptions_only")
    first, second = found.curation.route
    assert (first.acquirer, first.currency, first.direction) == ("giro", ["EUR"], ["CRDT"])
    assert (second.acquirer, second.currency) == ("northbank", [])


def test_without_delays(tmp_path: Path) -> None:
    """Without delays the acquirer answers at once, the source is read once, and nothing is entered after that."""
    directory = tmp_path / "demo"
    found = configuration(prepare(directory, payments=600, seed=3, delays="none"))
    assert found.source[0].schedule.at == ["06:30"]
    [partner] = load(directory).partners
    assert {partner.ack_delay_s, partner.result_delay_s, partner.late_delay_s, partner.return_delay_s} == {0}
    assert partner.shares["rejected"] > 0
    with closing(sqlite3.connect(directory / "legacy.db")) as database:
        [(last,)] = database.execute("SELECT max(CHG_TS) FROM PAYMENT_JOURNAL")
    assert last < datetime(2026, 3, 2, 5, 30, tzinfo=UTC).timestamp() * 1000


def test_reading_times_are_local() -> None:
    """Wall times of the source's zone become the right instants."""
    assert runs_at(("06:30", "15:00")) == [
        datetime(2026, 3, 2, 5, 30, tzinfo=UTC),
        datetime(2026, 3, 2, 14, 0, tzinfo=UTC),
    ]


def test_same_arguments_same_files(tmp_path: Path) -> None:
    """Two preparations with the same arguments differ in nothing but keys and port."""
    texts = []
    for name in ("one", "two"):
        path = prepare(tmp_path / name, payments=700, seed=5)
        [acquirer] = configuration(path).acquirer
        text = (
            path.read_text("utf-8").replace(acquirer.sftp.host_keys[0], "KEY").replace(str(acquirer.sftp.port), "PORT")
        )
        others = ("truth/source.jsonl", "reference/agents.csv", "legacy.db", MARKER)
        texts.append([text, *[(tmp_path / name / other).read_bytes() for other in others]])
    assert texts[0] == texts[1]


def test_a_demo_is_used_again(tmp_path: Path) -> None:
    """Asked for the same again, nothing is written, not even keys."""
    path = prepare(tmp_path, payments=20, seed=3)
    before = {each: each.stat().st_mtime_ns for each in tmp_path.rglob("*") if each.is_file()}
    assert prepare(tmp_path, payments=20, seed=3) == path
    assert {each: each.stat().st_mtime_ns for each in tmp_path.rglob("*") if each.is_file()} == before


def test_a_cut_off_preparation_is_done_again(tmp_path: Path) -> None:
    """A directory in which preparing did not come to its end is prepared afresh, not taken for a demo."""
    prepare(tmp_path, payments=20, seed=3)
    marker = json.loads((tmp_path / MARKER).read_text())
    (tmp_path / MARKER).write_text(json.dumps({**marker, "ready": False}))
    (tmp_path / "legacy.db").unlink()
    (tmp_path / "legacy.db.part").write_bytes(b"half")
    prepare(tmp_path, payments=20, seed=3)
    assert (tmp_path / "legacy.db").is_file()
    assert not (tmp_path / "legacy.db.part").exists()
    assert json.loads((tmp_path / MARKER).read_text()) == marker


@pytest.mark.parametrize("other", [{"payments": 21}, {"seed": 4}, {"delays": "none"}, {"formats": BOTH}])
def test_another_demo_is_refused(tmp_path: Path, other: dict[str, object]) -> None:
    """A demo made for other arguments is not overwritten; the message says what is there and what was asked."""
    asked: dict[str, object] = {"payments": 20, "seed": 3}
    prepare(tmp_path, **asked)  # type: ignore[arg-type]
    with pytest.raises(NotAllowed, match=r"holds another demo: payments 20, seed 3"):
        prepare(tmp_path, **{**asked, **other})  # type: ignore[arg-type]


def test_foreign_directories_are_refused(tmp_path: Path) -> None:
    """A non-empty directory without the marker, a plain file and a broken marker are refused, and nothing changes."""
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(NotAllowed, match="was not made by the demo") as caught:
        prepare(tmp_path, payments=20, seed=3)
    assert "--dir" in caught.value.next_step
    with pytest.raises(NotAllowed, match="is not a directory"):
        prepare(tmp_path / "thesis.txt", payments=20, seed=3)
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]
    broken = tmp_path / "broken"
    broken.mkdir()
    for text in ("not JSON", "[]", "{}"):
        (broken / MARKER).write_text(text)
        with pytest.raises(NotAllowed, match="cannot be read"):
            prepare(broken, payments=20, seed=3)


def test_wrong_requests_leave_nothing(tmp_path: Path) -> None:
    """Impossible numbers and formats are refused before anything is written."""
    with pytest.raises(NotAllowed, match="cannot be made"):
        prepare(tmp_path / "demo", payments=0, seed=3)
    with pytest.raises(NotAllowed, match="formats pain"):
        prepare(tmp_path / "demo", payments=20, seed=3, formats=("pain",))
    assert not list(tmp_path.iterdir())
