"""OpenPGP keys and messages as an acquirer makes them: by gpg itself, in a home of the tests, at a time that the test says."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from payments.errors import WrongConfiguration

MADE = "20260101T000000"
NOON = "20260302T060000"
"""When messages are made unless a test says otherwise: 2026-03-02 06:00 UTC."""

needs_gpg = pytest.mark.skipif(
    shutil.which("gpg") is None, reason="there is no gpg here: scripts/test-servers installs it"
)


class PgpRing:
    """Everybody's keys by name, and the port Secrets: `env:NAME` is a public key, `env:NAME-secret` the private one."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.fingerprints: dict[str, str] = {}
        self.secrets: dict[str, bytes] = {"env:phrase": b"a pass phrase"}
        for name, ends, passphrase in (
            ("ours", "2y", "a pass phrase"),
            ("bank", "2y", ""),
            ("other", "2y", ""),
            ("short", "80d", ""),  # until 2026-03-22
            ("revoked", "2y", ""),
        ):
            self._make(name, ends, passphrase)

    def _make(self, name: str, ends: str, passphrase: str) -> None:
        secret = ["--passphrase", passphrase]
        self.gpg(*secret, "--quick-gen-key", f"{name} <{name}@{name}.example>", "ed25519", "sign,cert", ends, at=MADE)
        listed = self.gpg("--with-colons", "--list-keys", f"={name} <{name}@{name}.example>").decode()
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        self.gpg(*secret, "--quick-add-key", fingerprint, "cv25519", "encr", ends, at=MADE)
        self.fingerprints[name] = fingerprint
        self.secrets[f"env:{name}"] = self.gpg("--armor", "--export", fingerprint)
        self.secrets[f"env:{name}-secret"] = self.gpg(*secret, "--armor", "--export-secret-keys", fingerprint)

    def revoke(self, name: str) -> None:
        """From now on the public key of `name` carries its revocation; private operations of earlier still work."""
        fingerprint = self.fingerprints[name]
        with self._home_of(name) as home:
            certificate = (self.home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text().replace(":-----", "-----")
            _gpg(home, "--import", given=certificate.encode())
            self.secrets[f"env:{name}"] = _gpg(home, "--armor", "--export", fingerprint)

    @contextmanager
    def _home_of(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="tieout-one-") as folder:
            try:
                _gpg(Path(folder), "--import", given=self.secrets[f"env:{name}"])
                yield Path(folder)
            finally:
                _end(Path(folder))

    def gpg(self, *arguments: str, given: bytes = b"", at: str = NOON) -> bytes:
        return _gpg(self.home, "--faked-system-time", f"{at}!", "--trust-model", "always", *arguments, given=given)

    def message(self, content: bytes, *, signer: str = "bank", to: str = "ours", at: str = NOON, more: tuple[str, ...] = ()) -> bytes:  # fmt: skip
        """Signed by `signer` and encrypted to `to`; an empty name leaves that out."""
        wanted = ["--sign", "--local-user", self.fingerprints[signer]] if signer else []
        wanted += ["--encrypt", "--recipient", self.fingerprints[to]] if to else []
        wanted += [] if signer or to else ["--store"]
        return self.gpg(
            "--passphrase", "a pass phrase" if signer == "ours" else "", *more, *wanted, given=content, at=at
        )

    def get(self, reference: str) -> bytes:
        """The port Secrets."""
        if reference not in self.secrets:
            raise WrongConfiguration(f"secret {reference}: there is none")
        return self.secrets[reference]


@contextmanager
def pgp_ring() -> Iterator[PgpRing]:
    # A short path: the agent's socket must fit into it.
    with tempfile.TemporaryDirectory(prefix="tieout-ring-") as folder:
        try:
            launch = ["gpgconf", "--homedir", folder, "--launch", "gpg-agent"]
            assert any(subprocess.run(launch, check=False, timeout=60).returncode == 0 for _ in range(5))
            yield PgpRing(Path(folder))
        finally:
            _end(Path(folder))


def _gpg(home: Path, *arguments: str, given: bytes = b"") -> bytes:
    command = [
        "gpg",
        "--homedir",
        str(home),
        "--batch",
        "--no-tty",
        "--quiet",
        "--pinentry-mode",
        "loopback",
        *arguments,
    ]
    done = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _end(home: Path) -> None:
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True, timeout=60)
