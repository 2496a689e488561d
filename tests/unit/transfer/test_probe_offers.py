"""Hashes that a server offers: the answer is compared with ours, whatever the server calls its request."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from runtime.ledger.clock import SystemClock
from tests.servers.paramiko_server import paramiko_server
from tests.servers.sftp_account import settings
from transfer.probe import probe
from transfer.probe_offers import CONTENT, hashes, limits
from transfer.probe_scratch import Scratch
from transfer.sftp_wire import Code, Fields, Kind, ProtocolViolated, Refused, text

MD5 = hashlib.md5(CONTENT).digest()
SHA256 = hashlib.sha256(CONTENT).digest()


def test_a_server_of_a_third_kind_is_probed(tmp_path: Path) -> None:
    """On paramiko's server, which hashes but offers little else, every verdict is right and nothing stays."""
    with paramiko_server(tmp_path) as account:
        found = probe(settings(account), key=account.client_key, password=None, accepted=None, clock=SystemClock())
        assert {path.name for path in account.root.rglob("*")} == {"inbox", "outbox", "archive"}
    assert found.hashes == {"check-file": "right (sha1)"}
    assert (found.rename_existing, found.posix_rename, found.fsync) == ("replaces", "not offered", "not offered")
    assert (found.limits, found.free_bytes, found.listing_order) == (None, None, "by name")


class OneAnswer:
    """A wire that confirms everything, and answers extended requests as the test says."""

    def __init__(self, extension: bytes, answers: dict[bytes, bytes]) -> None:
        self.extensions = {extension: b"1"}
        self._answers = answers

    def send(self, kind: Kind, *parts: bytes) -> int:
        return 1

    def done(self, number: int) -> None:
        return None

    def call(self, kind: Kind, *parts: bytes, expected: Kind) -> Fields:
        if kind == Kind.OPEN:
            return Fields(text(b"handle"))
        name = Fields(b"".join(parts)).text()
        if name not in self._answers:
            raise Refused(Code.UNSUPPORTED)
        return Fields(self._answers[name])


@pytest.mark.parametrize(
    ("extension", "answers", "verdict"),
    [
        (b"check-file", {b"check-file-name": text(b"sha256") + SHA256}, "right (sha256)"),
        (b"check-file", {b"check-file-handle": text(b"check-file") + text(b"sha256") + SHA256}, "right (sha256)"),
        (b"check-file", {b"check-file-name": text(b"sha256") + MD5}, "wrong (sha256)"),
        (b"check-file", {b"check-file-name": text(b"crc32") + b"0000"}, "announced, but its algorithm is unknown"),
        (b"check-file", {}, "announced, but it fails: unsupported"),
        (b"md5-hash", {b"md5-hash": text(b"md5-hash") + text(MD5)}, "right (md5)"),
        (b"md5-hash", {b"md5-hash-handle": text(b"md5-hash") + text(SHA256)}, "wrong (md5)"),
        (b"md5-hash@example.com", {b"md5-hash": b"\0"}, "announced, but it fails: a packet is shorter than its fields"),
    ],
)
def test_a_hash_counts_only_when_it_is_right(extension: bytes, answers: dict[bytes, bytes], verdict: str) -> None:
    """Announced is not enough: the server's hash of a known content must be the hash."""
    wire: Any = OneAnswer(extension, answers)
    assert hashes(wire, Scratch("inbox", "")) == {extension.partition(b"@")[0].decode(): verdict}


def test_limits_that_are_cut_short_are_a_broken_protocol() -> None:
    """Half an answer is none."""
    wire: Any = OneAnswer(b"limits@openssh.com", {b"limits@openssh.com": bytes(12)})
    with pytest.raises(ProtocolViolated):
        limits(wire)
