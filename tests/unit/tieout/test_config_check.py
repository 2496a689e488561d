"""What `tieout config check` looks at: the example of docs/settings.md, put on SQLite, checked in a folder of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.servers.sftp_account import private_key
from tests.unit.docs.doc_pages import ROOT, fences
from tieout.__main__ import main

SECRET = "hunter2"


def written(folder: Path, *, ledger: str) -> str:
    """The path of the example by hand, with another ledger and the secrets that it names."""
    example = next(body for kind, body in fences(ROOT / "docs" / "settings.md") if kind == "toml")
    text = re.sub(r"^\[ledger\]\n.*?\n\n", f"[ledger]\n{ledger}\n\n", example, flags=re.MULTILINE | re.DOTALL)
    assert ledger in text
    (folder / "keys").mkdir()
    (folder / "keys" / "bank_ed25519").touch(mode=0o600)
    (folder / "keys" / "bank_ed25519").write_bytes(private_key())
    path = folder / "tieout.toml"
    path.write_text(text)
    return str(path)


def test_a_key_that_others_may_open_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check says it before anything starts, and how to mend it."""
    monkeypatch.setenv("TIEOUT_CORE_PASSWORD", SECRET)
    path = written(tmp_path, ledger='url = "sqlite:ledger.db"')
    (tmp_path / "keys" / "bank_ed25519").chmod(0o644)
    assert main(["config", "check", "--config", path]) == 2
    assert "file:keys/bank_ed25519: a private key that others may open (mode 0644)" in capsys.readouterr().err


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
    assert facts["warnings"] == []
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


@pytest.mark.parametrize(
    ("pattern", "wrong", "said"),
    [
        (r'host_keys = \["[^"]*"', 'host_keys = ["SHA256:abc"', "no public key of a kind we know"),
        (r'url = "postgresql://(\w+)@', r'url = "postgresql://\1:hunter2@', "url holds a password"),
        (r"(\[\[source\]\]\n)", r'\1date_format = "%Q"\n', "date_format '%Q' is not that of a date"),
        (r'^978 = "EUR"', '978 = "CHX"', "'CHX', which is no currency"),
    ],
)
def test_values_that_no_run_could_use_are_found_before_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pattern: str,
    wrong: str,
    said: str,
) -> None:
    """What would fail with the first row or the first connection is said now, and never quotes a password."""
    monkeypatch.setenv("TIEOUT_CORE_PASSWORD", SECRET)
    path = Path(written(tmp_path, ledger='url = "sqlite:ledger.db"'))
    changed, count = re.subn(pattern, wrong, path.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1
    path.write_text(changed)
    assert main(["config", "check", "--config", str(path)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert SECRET not in error


def test_a_private_key_that_cannot_be_read_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key file that holds something else is said without its contents."""
    monkeypatch.setenv("TIEOUT_CORE_PASSWORD", SECRET)
    path = written(tmp_path, ledger='url = "sqlite:ledger.db"')
    (tmp_path / "keys" / "bank_ed25519").write_text("swordfish")
    assert main(["config", "check", "--config", path]) == 2
    error = capsys.readouterr().err
    assert "no private key that we can read" in error
    assert "swordfish" not in error


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('direction = "CRDT"', 'direction = "CREDIT"', "'CREDIT', which is no direction"),
        ("[[curation.route]]", '[[curation.route]]\nsource = ["other"]', "no [[curation.route]] takes its payments"),
    ],
)
def test_what_would_stop_every_payment_is_refused(
    before: str,
    after: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A direction that is none refuses all rows, and without a route all of them wait: that is said before the first."""
    monkeypatch.setenv("TIEOUT_CORE_PASSWORD", SECRET)
    path = Path(written(tmp_path, ledger='url = "sqlite:ledger.db"'))
    text = path.read_text()
    assert before in text
    other = '\n[[source]]\nname = "other"\nurl = "sqlite:x.db"\ntable = "t"\nprimary_key = ["id"]\nwatermark = "w"\n[source.columns]\namount = "a"\ncurrency = "c"\ndirection = "d"\nrequested_date = "r"\n'
    path.write_text(text.replace(before, after) + other)
    assert main(["config", "check", "--config", str(path)]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "next step:" in shown


def test_files_of_one_name_are_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An acquirer may want it so; whoever did not mean it learns of it before the second file."""
    monkeypatch.setenv("TIEOUT_CORE_PASSWORD", SECRET)
    path = Path(written(tmp_path, ledger='url = "sqlite:ledger.db"'))
    path.write_text(path.read_text().replace("sequence =", 'file_name = "{acquirer}_{generation}.csv"\nsequence =', 1))
    assert main(["config", "check", "--config", str(path), "--json"]) == 0
    [warning] = json.loads(capsys.readouterr().out)["warnings"]
    assert "{sequence}" in warning


def test_a_key_that_is_none_is_told_with_its_acquirer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of several acquirers the one whose key it is, and by which reference it came; never what it holds."""
    monkeypatch.setenv("TIEOUT_CORE_PASSWORD", SECRET)
    path = written(tmp_path, ledger='url = "sqlite:ledger.db"')
    (tmp_path / "keys" / "bank_ed25519").write_text(SECRET)
    assert main(["config", "check", "--config", path]) == 2
    said = capsys.readouterr().err
    assert "acquirer bank: " in said
    assert "file:keys/bank_ed25519" in said
    assert SECRET not in said
