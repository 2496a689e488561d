"""A wrong configuration is explained in one message, and nothing starts with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import service_runner as runner
from tests.servers.process import free_port
from tieout.__main__ import main


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runner.prepared(tmp_path_factory.mktemp("wrong") / "demo", payments=20)


@pytest.fixture
def directory(demo: Path, tmp_path: Path) -> Path:
    return runner.copied(demo, tmp_path / "run", free_port(), {})


WRONG = {
    "a section that nobody knows": ("[dashboard]", "[dashbord]", ["dashbord", "the file"]),
    "a key that nobody knows": ("port = 0 ", "prot = 0 ", ["dashboard", "prot"]),
    "a number out of range": ("port = 0 ", "port = 70000 ", ["dashboard.port", "70000", "65535"]),
    "a number written as text": ("port = 0 ", 'port = "0" ', ["dashboard.port", "'0'", "int"]),
    "a word that is not offered": ('results_list = "all"', 'results_list = "some"', ["results_list", "some", "all"]),
    "a key without default left out": ('final_status = "ACSC"   ', "# ", ["acquirer[0]", "final_status"]),
    "a zone that does not exist": ('zone = "Europe/Berlin"', 'zone = "Mars"', ["zone", "Mars", "Europe/Berlin"]),
    "a route to nobody": ('acquirer = "northbank"', 'acquirer = "southbank"', ["route", "southbank", "northbank"]),
    "a store that cannot be": (
        'root = "file:store"',
        'root = "ftp://store"',
        ["stores.root", "ftp://store", "file:DIR"],
    ),
    "a ledger that cannot be": ('url = "sqlite:ledger.db"', 'url = "mysql:x"', ["ledger.url", "mysql", "sqlite:FILE"]),
    "a time without zone": ("start = 2026-03-02T05:00:00Z", "start = 2026-03-02T05:00:00", ["clock.start", "zone"]),
    "not TOML at all": ("[clock]", "[clock", ["not TOML"]),
}


@pytest.mark.parametrize("kind", list(WRONG))
def test_a_wrong_configuration_is_explained(directory: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong configuration gets one message with the key, what was found and what is allowed, and exit status 2."""
    old, new, parts = WRONG[kind]
    runner.edit(directory, {old: new})
    assert main(["config", "check", "--config", str(directory / "tieout.toml")]) == 2
    said = capsys.readouterr().err
    assert [part for part in parts if part not in said] == []
    assert said.startswith("tieout: ")
    assert said.count("\n") == 2, said
    assert "next step: " in said
    assert not (directory / "ledger.db").exists()


@pytest.mark.parametrize("kind", ["a key that nobody knows", "a store that cannot be", "a ledger that cannot be"])
def test_nothing_starts_with_a_wrong_configuration(directory: Path, kind: str) -> None:
    """The service does not start with a wrong configuration, and leaves nothing behind."""
    old, new, parts = WRONG[kind]
    runner.edit(directory, {old: new})
    before = sorted(directory.rglob("*"))
    done = runner.command(directory, "run", "--no-page")
    assert done.returncode == 2
    assert [part for part in parts if part not in done.stderr] == []
    assert sorted(directory.rglob("*")) == before


def test_no_configuration_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a configuration the command says which file it looked for and how to name another."""
    assert main(["run", "--no-page", "--config", str(tmp_path / "none.toml")]) == 2
    said = capsys.readouterr().err
    assert "none.toml" in said
    assert "cannot be read: No such file or directory" in said
    assert "--config FILE" in said
