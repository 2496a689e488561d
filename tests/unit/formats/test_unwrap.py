"""Taking the wrapping off a result file: what gpg made is opened, and nothing is believed that is not whole, ours and signed."""

from __future__ import annotations

import gzip
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from formats.unwrap import FREE_BYTES, Unwrapped, unwrap
from payments.config_results import Results, ResultsPgp, Signer
from payments.errors import Unreadable, WrongConfiguration
from tests.servers.pgp_keys import PgpRing, needs_gpg, pgp_ring

pytestmark = needs_gpg
AT = datetime(2026, 3, 2, 7, tzinfo=UTC)
CONTENT = b"RH,TIEOUT1\n" * 400
NAME = "x.csv.pgp"


@pytest.fixture(scope="module")
def ring() -> Iterator[PgpRing]:
    with pgp_ring() as made:
        yield made


def settings(ring: PgpRing, *signers: str, unwrap: Any = ("pgp",), **other: Any) -> Results:
    signer = [Signer(fingerprint=ring.fingerprints[each], key=f"env:{each}") for each in signers or ("bank",)]
    plain: dict[str, Any] = {"keys": ["env:ours-secret"], "passphrase": "env:phrase", "signer": signer}
    limits = {name: other.pop(name) for name in ("plain_bytes_max", "plain_ratio_max") if name in other}
    return Results(unwrap=list(unwrap), pgp=ResultsPgp(**(plain | other)), **limits)


def opened(ring: PgpRing, results: Results, data: bytes, folder: Path, at: datetime = AT) -> Unwrapped:
    (folder / "stored").write_bytes(data)
    (folder / "plain").mkdir(mode=0o700)
    return unwrap(results, NAME, folder / "stored", folder / "plain", ring, at)


def zstd(content: bytes) -> bytes:
    packed: bytes = pa.Codec("zstd").compress(content, asbytes=True)
    return packed


@pytest.mark.parametrize(
    ("layers", "pack"),
    [(["pgp"], bytes), (["pgp", "gzip"], gzip.compress), (["pgp", "zstd"], zstd)],
)
def test_what_was_compressed_then_encrypted_and_signed_is_opened(
    ring: PgpRing, tmp_path: Path, layers: list[str], pack: Any
) -> None:
    """The content comes back byte for byte, with the signer's fingerprint and time, and no other plain text stays."""
    found = opened(ring, settings(ring, unwrap=layers), ring.message(pack(CONTENT)), tmp_path)
    assert found.path.read_bytes() == CONTENT
    assert found.signature is not None
    assert found.signature.fingerprint == ring.fingerprints["bank"]
    assert found.signature.made_at == datetime(2026, 3, 2, 6, tzinfo=UTC)
    assert list((tmp_path / "plain").iterdir()) == [found.path]


@pytest.mark.parametrize(("layer", "pack"), [("gzip", gzip.compress), ("zstd", zstd)])
def test_compressed_only_needs_no_key(ring: PgpRing, tmp_path: Path, layer: Any, pack: Any) -> None:
    """gzip and zstd alone are taken off without any secret."""
    (tmp_path / "stored").write_bytes(pack(CONTENT))
    found = unwrap(Results(unwrap=[layer]), NAME, tmp_path / "stored", tmp_path, None, AT)
    assert (found.path.read_bytes(), found.signature) == (CONTENT, None)


def test_armored_and_signed_only_messages_are_opened(ring: PgpRing, tmp_path: Path) -> None:
    """Where no key of ours is configured, a message that is only signed is verified; text armor makes no difference."""
    message = ring.message(CONTENT, to="", more=("--armor",))
    found = opened(ring, settings(ring, keys=[], passphrase=""), message, tmp_path)
    assert found.path.read_bytes() == CONTENT
    assert found.signature is not None


def hostile(ring: PgpRing, how: str) -> bytes:
    """What an attacker, an accident or a careless acquirer may put into the outbox."""
    by_bank = ("--passphrase", "", "--local-user", ring.fingerprints["bank"])
    made: dict[str, Callable[[], bytes]] = {
        "unsigned": lambda: ring.message(CONTENT, signer=""),
        "signed by a stranger": lambda: ring.message(CONTENT, signer="other"),
        "signed by ourselves": lambda: ring.message(CONTENT, signer="ours"),
        "to somebody else": lambda: ring.message(CONTENT, to="other"),
        "not encrypted": lambda: ring.message(CONTENT, to=""),
        "clear-signed": lambda: ring.gpg(*by_bank, "--clearsign", given=CONTENT),
        "cut off": lambda: halved(ring.message(CONTENT)),
        "one byte changed": lambda: flipped(ring.message(CONTENT)),
        "no integrity code": lambda: ring.message(CONTENT, more=("--rfc2440", "--disable-mdc", "--cipher-algo", "AES")),
        "two messages": lambda: 2 * ring.message(CONTENT),
        "two literals": lambda: 2 * forged(ring),
        "signature over other content": lambda: ring.gpg(*by_bank, "--detach-sign", given=CONTENT) + forged(ring),
        "a message in a message": lambda: ring.message(ring.message(CONTENT), signer=""),
        "sha-1": lambda: ring.message(CONTENT, more=("--digest-algo", "SHA1")),
        "from the future": lambda: ring.message(CONTENT, at="20260304T060000"),
        "a passphrase only": lambda: ring.gpg("--passphrase", "a pass phrase", "--symmetric", given=CONTENT),
        "a public key": lambda: ring.secrets["env:bank"],
        "plain": lambda: CONTENT,
        "empty": lambda: b"",
    }
    return made[how]()


def forged(ring: PgpRing) -> bytes:
    """An unsigned literal packet: what could be put beside a signed one."""
    return ring.message(b"RD,forged\n", signer="", to="", more=("-z", "0"))


def halved(message: bytes) -> bytes:
    return message[: len(message) // 2]


def flipped(message: bytes) -> bytes:
    return message[:-40] + bytes([message[-40] ^ 1]) + message[-39:]


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("unsigned", "not signed"),
        ("signed by a stranger", "not pinned"),
        ("signed by ourselves", "not pinned"),
        ("to somebody else", "to keys that are not ours"),
        ("not encrypted", "not encrypted"),
        ("clear-signed", "OpenPGP"),
        ("cut off", "OpenPGP"),
        ("one byte changed", "OpenPGP"),
        ("no integrity code", "integrity code"),
        ("two messages", "OpenPGP"),
        ("signature over other content", "OpenPGP"),
        ("a message in a message", "not signed"),
        ("sha-1", "rests on SHA-1"),
        ("from the future", "later than it was collected"),
        ("a passphrase only", "OpenPGP"),
        ("a public key", "OpenPGP"),
        ("plain", "no OpenPGP message"),
        ("empty", "OpenPGP"),
    ],
)
def test_what_cannot_be_believed_is_not_opened(ring: PgpRing, tmp_path: Path, how: str, why: str) -> None:
    """Each is unreadable with a reason that names no key holder; nothing of it is handed on."""
    with pytest.raises(Unreadable, match=why) as caught:
        opened(ring, settings(ring), hostile(ring, how), tmp_path)
    assert "example" not in str(caught.value)


@pytest.mark.parametrize("how", ["two literals", "signature over other content", "clear-signed"])
@pytest.mark.parametrize("signature", ["required", "none"])
def test_two_contents_are_never_one_file(ring: PgpRing, tmp_path: Path, how: str, signature: str) -> None:
    """Also where neither signature nor encryption is asked for, a message with other content beside the first is refused."""
    results = settings(ring, keys=[], passphrase="", signature=signature)
    with pytest.raises(Unreadable):
        opened(ring, results, hostile(ring, how), tmp_path)


def test_content_behind_a_signed_message_is_never_read(ring: PgpRing, tmp_path: Path) -> None:
    """What is appended to a signed message is either a reason to refuse it or dropped: what is read is what was signed."""
    literal = forged(ring)
    for message in (ring.message(CONTENT, to=""), ring.message(CONTENT, to="", more=("-z", "0"))):
        folder = tmp_path / str(len(message))
        folder.mkdir()
        try:
            found = opened(ring, settings(ring, keys=[], passphrase=""), message + literal, folder)
        except Unreadable:
            continue
        assert found.path.read_bytes() == CONTENT


def test_a_key_is_judged_as_of_the_collection(ring: PgpRing, tmp_path: Path) -> None:
    """Collected before the key ended the file is read, whatever the day is now; collected after it, it is not."""
    message = ring.message(CONTENT, signer="short")
    for at, good in ((AT, True), (AT + timedelta(days=30), False)):
        folder = tmp_path / f"{good}"
        folder.mkdir()
        if good:
            assert opened(ring, settings(ring, "short"), message, folder, at).signature is not None
            continue
        with pytest.raises(Unreadable, match="had expired"):
            opened(ring, settings(ring, "short"), message, folder, at)


def test_a_revoked_key_signs_nothing(ring: PgpRing, tmp_path: Path) -> None:
    """With the revocation in the pinned key, what it signed is no longer believed."""
    message = ring.message(CONTENT, signer="revoked")
    ring.revoke("revoked")
    with pytest.raises(Unreadable, match="revoked"):
        opened(ring, settings(ring, "revoked"), message, tmp_path)


def test_keys_that_are_not_what_the_configuration_says_stop_the_reading(ring: PgpRing, tmp_path: Path) -> None:
    """Another key under a pinned fingerprint, a secret without a key, no secret, a public key: our mistake, and no fault of the file."""
    message = ring.message(CONTENT)
    wrong = Signer(fingerprint=ring.fingerprints["bank"], key="env:other")
    ours: list[dict[str, Any]] = [
        {"signer": [wrong]},
        {"keys": ["env:phrase"]},
        {"keys": ["env:nobody"]},
        {"keys": ["env:ours"]},
    ]
    for number, other in enumerate(ours):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(WrongConfiguration):
            opened(ring, settings(ring, **other), message, folder)


@pytest.mark.parametrize("layers", [["gzip"], ["zstd"], ["pgp"], ["pgp", "gzip"]])
@pytest.mark.parametrize("limit", ["plain_ratio_max", "plain_bytes_max"])
def test_a_bomb_is_stopped_at_its_limit(ring: PgpRing, tmp_path: Path, layers: Any, limit: str) -> None:
    """A content far above its limit is refused by ratio and by size, and at most a little more than the limit is written."""
    bomb = bytes(8 * FREE_BYTES)
    data = zstd(bomb) if "zstd" in layers else gzip.compress(bomb) if "gzip" in layers else bomb
    if "pgp" in layers:
        data = ring.message(data, more=("-z", "9"))
    limits: dict[str, Any] = {"plain_ratio_max": 100_000} | {limit: 10 if limit == "plain_ratio_max" else FREE_BYTES}
    with pytest.raises(Unreadable, match="larger than"):
        opened(ring, settings(ring, unwrap=layers, **limits), data, tmp_path)
    assert all(each.stat().st_size <= 2 * FREE_BYTES for each in (tmp_path / "plain").iterdir())


@pytest.mark.parametrize("layer", ["gzip", "zstd"])
def test_damaged_compression_is_unreadable(ring: PgpRing, tmp_path: Path, layer: Any) -> None:
    """Cut off, with another format inside, or empty: nothing of it is used."""
    whole = gzip.compress(CONTENT) if layer == "gzip" else zstd(CONTENT)
    for number, data in enumerate((whole[:-3], CONTENT, b"", whole + b"junk")):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(Unreadable, match=layer):
            opened(ring, settings(ring, unwrap=[layer]), data, folder)


@pytest.fixture
def homes() -> Iterator[Path]:
    """A folder with a short path: gpg-agent's socket lies in a home under it, and its name may have 107 bytes."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_nothing_is_logged_and_no_home_stays(
    ring: PgpRing, tmp_path: Path, homes: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening a file leaves no key behind, clears what a killed process left a day ago, and says nothing of names."""
    monkeypatch.setattr("tempfile.tempdir", str(homes))
    for name, days in (("tieout-gpg-abandoned", 2), ("tieout-gpg-at-work", 0)):
        (homes / name).mkdir()
        (homes / name / "key").write_bytes(b"a private key")
        then = time.time() - days * 86_400
        os.utime(homes / name, (then, then))
    caplog.set_level(logging.DEBUG)
    for number, how in enumerate(("unsigned", "two messages")):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(Unreadable):
            opened(ring, settings(ring), hostile(ring, how), folder)
    assert list(homes.glob("tieout-gpg-*")) == [homes / "tieout-gpg-at-work"]
    assert "example" not in caplog.text
