"""Encrypted files: what gpg can open with the acquirer's key, and nobody else can."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from payments.config_files import Encode, Pgp, Split
from payments.errors import SetAside, WrongConfiguration
from payments.keys import file_manifest_key
from payments.records import OutboundFile
from payments.states import FileState
from reconciliation.certificate import Certificate
from reconciliation.facts import file_facts
from reconciliation.prove_file import prove_file
from reconciliation.prove_wrapped import OwnKeys
from tests.unit.transfer.assemble_world import CONFIG_HASH, AssembleWorld, Pay, acquirer
from transfer.assemble import AssemblePorts, assemble
from transfer.pgp import encrypt, expiring, keys_of

pytestmark = pytest.mark.skipif(
    shutil.which("gpg") is None, reason="there is no gpg here: scripts/test-servers installs it"
)
CONTENT = b"FH,TIEOUT1\n" * 5000


class KeyRing:
    """The acquirer's and our keys, in a gpg home of the tests."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.secrets: dict[str, bytes] = {}
        for name, ends, passphrase in (
            ("bank", "2y", ""),
            ("twin", "0", ""),
            ("ours", "2y", "a pass phrase"),
            ("old", "1", ""),
        ):
            self.make(name, ends, passphrase)

    def make(self, name: str, ends: str, passphrase: str) -> None:
        # An expired key is made by a clock that is two days behind.
        before = ["--faked-system-time", "20200101T000000!"] if name == "old" else []
        secret = ["--pinentry-mode", "loopback", "--passphrase", passphrase]
        self.gpg(*before, *secret, "--quick-gen-key", f"{name} <{name}@{name}.example>", "ed25519", "sign,cert", ends)
        listed = self.gpg(*before, "--with-colons", "--list-keys", f"={name} <{name}@{name}.example>").decode()
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        self.gpg(*before, *secret, "--quick-add-key", fingerprint, "cv25519", "encr", ends)
        self.secrets[f"env:{name}"] = self.gpg("--armor", "--export", fingerprint)
        self.secrets[f"env:{name}-secret"] = self.gpg(*secret, "--armor", "--export-secret-keys", fingerprint)
        self.secrets[f"env:{name}-phrase"] = passphrase.encode()

    def gpg(self, *arguments: str) -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--no-tty", "--quiet", *arguments]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def get(self, reference: str) -> bytes:
        """The port Secrets."""
        if reference not in self.secrets:
            raise WrongConfiguration(f"secret {reference}: there is none")
        return self.secrets[reference]

    def opened(self, path: Path, name: str) -> tuple[bytes, set[str]]:
        """The content as somebody reads it who holds only the private key of `name`, and what gpg says of it."""
        with tempfile.TemporaryDirectory(prefix="tieout-test-") as folder:
            base = ["gpg", "--homedir", folder, "--batch", "--no-tty", "--quiet", "--pinentry-mode", "loopback"]
            for key in (self.secrets[f"env:{name}-secret"], self.secrets["env:ours"]):
                subprocess.run([*base, "--import"], input=key, check=True, capture_output=True, timeout=60)
            command = [*base, "--status-fd", "2", "--decrypt", str(path)]
            done = subprocess.run(command, capture_output=True, timeout=60, check=False)
            subprocess.run(
                ["gpgconf", "--homedir", folder, "--kill", "all"], check=False, capture_output=True, timeout=60
            )
        lines = [line.split() for line in done.stderr.decode().splitlines() if line.startswith("[GNUPG:] ")]
        return done.stdout, {line[1] for line in lines}


@pytest.fixture(scope="module")
def ring() -> Iterator[KeyRing]:
    # A short path: the agent's socket must fit into it.
    with tempfile.TemporaryDirectory(prefix="tieout-ring-") as folder:
        try:
            yield KeyRing(Path(folder))
        finally:
            subprocess.run(
                ["gpgconf", "--homedir", folder, "--kill", "all"], check=False, capture_output=True, timeout=60
            )


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    (tmp_path / "plain").write_bytes(CONTENT)
    return tmp_path / "plain"


def test_each_recipient_can_open_it_and_the_signature_is_ours(ring: KeyRing, plain: Path, tmp_path: Path) -> None:
    """Both keys of the acquirer open the file, the signature is good, a third key opens nothing, and nothing is compressed."""
    target = tmp_path / "file.pgp"
    recipients = [(name, ring.get(name)) for name in ("env:bank", "env:twin")]
    sign_key = ("env:ours-secret", ring.get("env:ours-secret"))
    keys = encrypt(plain, target, recipients, sign_key=sign_key, passphrase=b"a pass phrase")
    assert len({key.fingerprint for key in keys}) == 3
    for name in ("bank", "twin"):
        content, said = ring.opened(target, name)
        assert content == CONTENT
        assert {"GOODSIG", "DECRYPTION_OKAY"} <= said
    assert ring.opened(target, "old")[0] == b""
    assert target.stat().st_size > len(CONTENT)


@pytest.mark.parametrize(
    ("names", "error", "why"),
    [
        (["env:old"], SetAside, "expired"),
        (["env:bank", "env:old"], SetAside, "expired"),
        (["env:junk"], WrongConfiguration, "holds 0 OpenPGP keys"),
        (["env:two"], WrongConfiguration, "holds 2 OpenPGP keys"),
    ],
)
def test_a_key_that_cannot_be_used_stops_the_file(
    ring: KeyRing, plain: Path, tmp_path: Path, names: list[str], error: type[Exception], why: str
) -> None:
    """An expired key, no key, two keys in one secret: nothing is written for some of the recipients only."""
    ring.secrets |= {"env:junk": b"no key", "env:two": ring.get("env:bank") + ring.get("env:twin")}
    with pytest.raises(error, match=why) as caught:
        encrypt(plain, tmp_path / "file.pgp", [(name, ring.get(name)) for name in names])
    assert "example" not in str(caught.value)
    assert not (tmp_path / "file.pgp").exists()


def test_a_wrong_passphrase_stops_the_file(ring: KeyRing, plain: Path, tmp_path: Path) -> None:
    """What should be signed and cannot be is not sent unsigned."""
    key = ("env:ours-secret", ring.get("env:ours-secret"))
    with pytest.raises(SetAside, match="signed"):
        encrypt(plain, tmp_path / "f", [("env:bank", ring.get("env:bank"))], sign_key=key, passphrase=b"another")


def test_without_gpg_the_error_says_how_to_install_it(
    ring: KeyRing, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without gpg is told what to install."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(WrongConfiguration, match="no program gpg") as caught:
        encrypt(plain, tmp_path / "f", [("env:bank", ring.get("env:bank"))])
    assert "apt-get install gnupg" in caught.value.next_step


def test_keys_that_end_soon_are_an_alarm(ring: KeyRing) -> None:
    """Thirty days before a key ends it is said; a key without end never is."""
    keys = keys_of(Pgp(recipients=["env:bank", "env:twin"], sign_key="env:ours-secret"), ring)
    assert [key.expires_at is None for key in keys] == [False, True, False]
    ends = keys[0].expires_at
    assert ends is not None
    assert expiring("north", keys[:2], ends - timedelta(days=31)) == []
    (soon,) = expiring("north", keys[:2], ends - timedelta(days=29))
    assert (keys[0].fingerprint in soon, "expires on" in soon) == (True, True)
    assert "expired on" in expiring("north", keys[:1], ends)[0]
    (old,) = keys_of(Pgp(recipients=["env:old"]), ring)
    assert "expired" in expiring("north", [old], datetime.now(UTC))[0]


def sealed(world: AssembleWorld, ring: KeyRing, store: Any = None) -> list[OutboundFile]:
    ports = AssemblePorts(
        world.ledger, store or world.store, world.clock, world.configuration, CONFIG_HASH, world.spool, ring
    )
    assert assemble(ports)
    return world.files()


def certificate_of(world: AssembleWorld, file: OutboundFile) -> Certificate:
    certificate = Certificate(file.name)
    with world.ledger.look() as tx:
        facts = file_facts(tx, file)
    prove_file(certificate, world.store, facts)
    return certificate


ENCODE = Encode(
    compression="gzip",
    pgp=Pgp(recipients=["env:bank"], sign_key="env:ours-secret", passphrase="env:ours-phrase"),
)


def test_an_encrypted_file_is_sealed_and_proved_by_its_hash(ring: KeyRing, tmp_path: Path) -> None:
    """The acquirer decrypts and decompresses the payments; the proof holds and says that it did not count them."""
    world = AssembleWorld(tmp_path / "w", acquirer(encode=ENCODE, split=Split(bytes_per_file_max=100_000)))
    world.run(*(Pay(f"p{n}") for n in range(5)))
    (file,) = sealed(world, ring)
    assert (file.state, file.held, file.name[-7:]) == (FileState.SEALED, "", ".gz.pgp")
    (tmp_path / "received").write_bytes(world.outbound(file))
    content, said = ring.opened(tmp_path / "received", "bank")
    assert gzip.decompress(content).count(b"\nPD,") == 5
    assert "GOODSIG" in said
    certificate = certificate_of(world, file)
    assert certificate.failed == []
    checks = {check.what: check.found for check in certificate.checks}
    assert checks["payments in its encrypted content"] == "not counted"
    assert "payments counted again" not in checks
    manifest = json.loads(world.store.get(file_manifest_key(file.acquirer, file.business_date, file.file_id)))
    assert manifest["sha256"] is None
    assert len(manifest["encoding"]["pgp"]) == 2


def test_a_file_that_we_can_open_too_is_counted_again(ring: KeyRing, tmp_path: Path) -> None:
    """Encrypted to a key of ours as well, its payments are counted from its bytes; with another key the proof says that it did not."""
    pgp = Pgp(recipients=["env:bank", "env:ours"])
    world = AssembleWorld(tmp_path / "w", acquirer(encode=Encode(compression="gzip", pgp=pgp)))
    world.run(*(Pay(f"p{n}") for n in range(5)))
    (file,) = sealed(world, ring)
    with world.ledger.look() as tx:
        facts = file_facts(tx, file)
    for reference, counted in (("env:ours-secret", 5), ("env:twin-secret", None), ("env:nobody", None)):
        certificate = Certificate(file.name)
        prove_file(certificate, world.store, facts, OwnKeys([reference], "env:ours-phrase", ring))
        checks = {check.what: check.found for check in certificate.checks}
        assert (certificate.failed, checks.get("payments counted again")) == ([], counted)
        assert ("payments in its encrypted content" in checks) == (counted is None)


class DiesAfter:
    """A store whose process dies right after it stored the outbound object."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put_file(self, key: str, path: Path) -> Any:
        stored = self._store.put_file(key, path)
        if key.startswith("outbound/"):
            raise KeyboardInterrupt
        return stored


def test_a_restart_adopts_what_was_stored(ring: KeyRing, tmp_path: Path) -> None:
    """Killed between the object and its record, the file is encrypted again to other bytes: those that are stored count."""
    world = AssembleWorld(tmp_path / "w", acquirer(encode=ENCODE))
    world.run(*(Pay(f"p{n}") for n in range(5)))
    with pytest.raises(KeyboardInterrupt):
        sealed(world, ring, DiesAfter(world.store))
    world.restart()
    (file,) = sealed(world, ring)
    assert file.state == FileState.SEALED
    assert file.size == len(world.outbound(file))
    assert certificate_of(world, file).failed == []
    world.check_books()


def test_a_file_for_an_expired_key_is_held(ring: KeyRing, tmp_path: Path) -> None:
    """A key that ended holds the file, and names the key; nothing unencrypted is stored."""
    world = AssembleWorld(tmp_path / "w", acquirer(encode=Encode(pgp=Pgp(recipients=["env:old"]))))
    world.run(Pay("a"))
    (file,) = sealed(world, ring)
    assert file.state == FileState.PLANNED
    assert "expired" in file.held
    assert list(world.store.keys("outbound/")) == []


def test_a_missing_key_stops_before_anything_is_stored(ring: KeyRing, tmp_path: Path) -> None:
    """A secret that is not there is an error of the configuration; once it is there, the same plan goes on."""
    world = AssembleWorld(tmp_path / "w", acquirer(encode=Encode(pgp=Pgp(recipients=["env:later"]))))
    world.run(Pay("a"))
    with pytest.raises(WrongConfiguration, match="env:later"):
        sealed(world, ring)
    assert list(world.store.keys("outbound/")) == []
    ring.secrets["env:later"] = ring.get("env:bank")
    world.restart()
    assert [file.state for file in sealed(world, ring)] == [FileState.SEALED]
