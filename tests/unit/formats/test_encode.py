"""Compressed files: the same bytes each time, whole or refused, never larger than allowed."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from formats.encode import compress, decompress
from payments.errors import Unreadable

CONTENT = b"".join(b"PD,%d,some text\n" % n for n in range(200_000))
KINDS = ("gzip", "zstd")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def packed(kind: str, tmp_path: Path) -> Path:
    (tmp_path / "plain").write_bytes(CONTENT)
    compress(kind, tmp_path / "plain", tmp_path / "packed")
    return tmp_path / "packed"


def test_it_comes_back(kind: str, packed: Path, tmp_path: Path) -> None:
    """What was compressed is smaller, and comes back byte for byte."""
    assert packed.stat().st_size < len(CONTENT) / 3
    decompress(kind, packed, tmp_path / "again", bytes_max=len(CONTENT))
    assert (tmp_path / "again").read_bytes() == CONTENT


def test_the_bytes_are_the_same_each_time(
    kind: str, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the time nor a name is inside: a restart seals the same bytes."""
    (tmp_path / "another name").write_bytes(CONTENT)
    monkeypatch.setattr(time, "time", lambda: 1.0)
    compress(kind, tmp_path / "another name", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == packed.read_bytes()


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_a_part_is_refused(kind: str, packed: Path, tmp_path: Path, part: float) -> None:
    """A file that is cut off anywhere is not read as whole."""
    whole = packed.read_bytes()
    packed.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(Unreadable):
        decompress(kind, packed, tmp_path / "again", bytes_max=len(CONTENT))


@pytest.mark.parametrize("data", [b"FH,TIEOUT1,plain text\n", b"\0" * 100])
def test_what_is_not_compressed_is_refused(kind: str, data: bytes, tmp_path: Path) -> None:
    """Bytes of another kind are refused."""
    (tmp_path / "other").write_bytes(data)
    with pytest.raises(Unreadable, match=f"whole {kind} file"):
        decompress(kind, tmp_path / "other", tmp_path / "again", bytes_max=1000)


def test_a_bomb_is_stopped(kind: str, tmp_path: Path) -> None:
    """A small file that would become large ends at the limit, on disk too."""
    (tmp_path / "zeros").write_bytes(bytes(64 << 20))
    compress(kind, tmp_path / "zeros", tmp_path / "bomb")
    assert (tmp_path / "bomb").stat().st_size < 1 << 20
    with pytest.raises(Unreadable, match="larger than 1000 bytes"):
        decompress(kind, tmp_path / "bomb", tmp_path / "again", bytes_max=1000)
    assert (tmp_path / "again").stat().st_size <= 1000


def test_a_gzip_file_is_one_for_others(tmp_path: Path) -> None:
    """Other readers of gzip take our file."""
    (tmp_path / "plain").write_bytes(CONTENT)
    compress("gzip", tmp_path / "plain", tmp_path / "packed")
    assert gzip.decompress((tmp_path / "packed").read_bytes()) == CONTENT


@pytest.mark.skipif(shutil.which("zstd") is None, reason="there is no zstd command here")
def test_a_zstd_file_is_one_for_others(tmp_path: Path) -> None:
    """The zstd command takes our file."""
    (tmp_path / "plain").write_bytes(CONTENT)
    compress("zstd", tmp_path / "plain", tmp_path / "packed")
    found = subprocess.run(["zstd", "-dc", str(tmp_path / "packed")], check=True, capture_output=True, timeout=30)
    assert found.stdout == CONTENT
