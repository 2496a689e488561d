"""Encrypts a file to OpenPGP keys, and signs it where asked, through the `gpg` program in a home of its own that is gone afterwards.

The bytes differ each time, because every session key is new: what is sealed is known by its hash, not by writing it again.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from payments.config_files import Pgp
from payments.errors import SetAside, WrongConfiguration
from payments.ports import Secrets

KEY_TIMEOUT_S = 60
FILE_TIMEOUT_S = 3600
ALARM_BEFORE = timedelta(days=30)
INSTALL = (
    "Install GnuPG where Tieout runs: `apt-get install gnupg` on Debian and Ubuntu, `dnf install gnupg2` on Fedora."
)


@dataclass(frozen=True, slots=True)
class Key:
    """One OpenPGP key: `expires_at` is when it can no longer be used for what we need it for; None: never."""

    fingerprint: str
    expires_at: datetime | None


class Gpg:
    """The program in one temporary home. It reads no configuration and no key ring of the user."""

    def __init__(self, home: Path) -> None:
        self._home = home
        program = shutil.which("gpg")
        if program is None:
            raise WrongConfiguration("encode.pgp: there is no program gpg on this machine", next_step=INSTALL)
        self._program = program

    def run(self, *arguments: str, given: bytes = b"", timeout_s: int = KEY_TIMEOUT_S) -> tuple[int, list[str]]:
        """(exit status, lines of its machine-readable output). Its words for people are dropped: they name key holders."""
        fixed = ["--homedir", str(self._home), "--no-options", "--batch", "--no-tty", "--yes", "--quiet"]
        fixed += ["--no-auto-key-locate", "--trust-model", "always", "--pinentry-mode", "loopback"]
        try:
            done = subprocess.run(  # noqa: S603  (a fixed program; arguments are ours or fingerprints)
                [self._program, *fixed, *arguments],
                input=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=timeout_s,
                check=False,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "HOME": str(self._home)},
            )
        except subprocess.TimeoutExpired:
            raise SetAside(f"gpg did not end within {timeout_s} s") from None
        return done.returncode, done.stdout.decode("utf-8", "replace").splitlines()

    def add(self, reference: str, key: bytes, *, use: str) -> Key:
        """Import the one key that a secret holds; `use` is `e` (encrypt) or `s` (sign). Raises WrongConfiguration."""
        _, said = self.run("--status-fd", "1", "--import", given=key)
        found = {line.split()[3] for line in said if line.startswith("[GNUPG:] IMPORT_OK ")}
        if len(found) != 1:
            raise WrongConfiguration(
                f"encode.pgp: secret {reference} holds {len(found)} OpenPGP keys; it must hold one"
            )
        _, shown = self.run("--with-colons", "--fixed-list-mode", "--list-keys", *found)
        return _key([line.split(":") for line in shown], use)


@contextmanager
def gpg_home() -> Iterator[Gpg]:
    """A home for one use. What gpg started in it is ended with it."""
    with tempfile.TemporaryDirectory(prefix="tieout-gpg-") as folder:
        try:
            yield Gpg(Path(folder))
        finally:
            ender = shutil.which("gpgconf")
            if ender is not None:
                subprocess.run(  # noqa: S603  (a fixed program)
                    [ender, "--homedir", folder, "--kill", "all"],
                    check=False,
                    capture_output=True,
                    timeout=KEY_TIMEOUT_S,
                )


def encrypt(
    source: Path,
    target: Path,
    recipients: Sequence[tuple[str, bytes]],
    *,
    sign_key: tuple[str, bytes] | None = None,
    passphrase: bytes = b"",
) -> list[Key]:
    """Write `target`: readable with any one of the keys of the recipients (reference, key), without compression.

    Returns the keys that were used, the recipients' first. Raises WrongConfiguration for a secret that holds no key, SetAside when gpg refuses
    one of the keys (expired, revoked, of another use) or the passphrase.
    """
    with gpg_home() as gpg:
        keys = [gpg.add(reference, key, use="e") for reference, key in recipients]
        arguments = ["--status-fd", "1", "--compress-algo", "none", "--set-filename", "", "--output", str(target)]
        for key in keys:
            arguments += ["--recipient", key.fingerprint]
        if sign_key is not None:
            keys.append(signer := gpg.add(*sign_key, use="s"))
            arguments += ["--local-user", signer.fingerprint, "--passphrase-fd", "0", "--sign"]
        status, said = gpg.run(*arguments, "--encrypt", str(source), given=passphrase, timeout_s=FILE_TIMEOUT_S)
        wanted = {"END_ENCRYPTION", *(["SIG_CREATED"] if sign_key is not None else [])}
        told = {line.split()[1] for line in said if line.startswith("[GNUPG:] ")}
        if status or not wanted <= told:
            refused = sorted(
                line.split()[3] for line in said if line.startswith("[GNUPG:] INV_RECP ") and len(line.split()) > 3
            )
            why = f"key {', '.join(refused)} is expired, revoked or not for encryption" if refused else "gpg refused"
            raise SetAside(f"it cannot be encrypted{' and signed' if sign_key else ''}: {why}")
    return keys


def keys_of(pgp: Pgp, secrets: Secrets) -> list[Key]:
    """The keys of a configuration, the recipients' first. Raises WrongConfiguration when a secret holds none."""
    with gpg_home() as gpg:
        keys = [gpg.add(reference, secrets.get(reference), use="e") for reference in pgp.recipients]
        return keys + ([gpg.add(pgp.sign_key, secrets.get(pgp.sign_key), use="s")] if pgp.sign_key else [])


def expiring(acquirer: str, keys: Sequence[Key], at: datetime) -> list[str]:
    """What to say of keys that expire within 30 days of `at`, or have expired."""
    return [
        f"acquirer {acquirer}: OpenPGP key {key.fingerprint} {'expired' if key.expires_at <= at else 'expires'} "
        f"on {key.expires_at:%Y-%m-%d}: ask for its successor, and name that one as well"
        for key in keys
        if key.expires_at is not None and key.expires_at <= at + ALARM_BEFORE
    ]


def _key(records: list[list[str]], use: str) -> Key:
    """From gpg's colon format: a primary key with its subkeys; field 7 is the expiry, field 12 the uses."""
    primary = next(fields for fields in records if fields[0] == "pub")
    fingerprint = next(fields[9] for fields in records if fields[0] == "fpr")
    fit = [fields for fields in records if fields[0] in {"pub", "sub"} and use in fields[11]]
    ends = [_time(fields[6]) for fields in fit]
    last = None if None in ends else max((each for each in ends if each is not None), default=None)
    return Key(fingerprint, min(filter(None, (_time(primary[6]), last)), default=None))


def _time(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if text.isdigit() else None
