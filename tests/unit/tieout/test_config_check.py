"""What `tieout config check` looks at: the example of docs/settings.md, put on SQLite, checked in a folder of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.unit.docs.doc_pages import ROOT, fences
from tieout.__main__ import main

SECRET = "hunter2"


def written(folder: Path, *, ledger: str) -> str:
    """The path of the example by hand, with another ledger and the secrets that it names."""
    example = next(body for kind, body in fences(ROOT / "docs" / "settings.md") if kind == "toml")
    text = re.sub(r"^\[ledger\]\n.*?\n\n", f"[ledger]\n{ledger}\n\n", example, flags=re.MULTILINE | re.DOTALL)
    assert ledger in text
    (folder / "keys").mkdir()
    (folder / "keys" / "bank_ed25519").write_text(SECRET)
    path = folder / "tieout.toml"
    path.write_text(text)
    return str(path)


def test_a_sound_configuration_is_said_to_be_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every secret is fetched, the ledger is made, and nothing secret is printed."""
    monkeypatch.setenv("TIEOUT_CORE_PASSWORD", SECRET)
    path = written(tmp_path, ledger='url = "sqlite:ledger.db"')
    assert main(["config", "check", "--config", path, "--json"]) == 0
    shown = capsys.readouterr()
    facts = json.loads(shown.out)
    assert (facts["sources"], facts["acquirers"], facts["secrets"]) == (["core"], ["bank"], 2)
    assert (tmp_path / "ledger.db").is_file()
    assert SECRET not in shown.out + shown.err


def test_a_missing_secret_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A secret that is not there ends the check with status 2, its reference and a next step."""
    monkeypatch.delenv("TIEOUT_CORE_PASSWORD", raising=False)
    assert main(["config", "check", "--config", written(tmp_path, ledger='url = "sqlite:ledger.db"')]) == 2
    said = capsys.readouterr().err
    assert "env:TIEOUT_CORE_PASSWORD" in said
    assert "next step:" in said
    assert not (tmp_path / "ledger.db").exists()


def test_a_ledger_that_cannot_be_reached_ends_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ledger is opened: one that does not answer ends the check with status 1."""
    monkeypatch.setenv("TIEOUT_CORE_PASSWORD", SECRET)
    path = written(tmp_path, ledger='url = "postgresql://tieout@127.0.0.1:1/tieout"')
    assert main(["config", "check", "--config", path]) == 1
    assert "does not answer" in capsys.readouterr().err
