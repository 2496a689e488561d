"""Runs the `gpg` program in a home of its own that is gone afterwards: it reads no key ring and no configuration of the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from payments.errors import SetAside, Unreachable, WrongConfiguration

PREFIX = "tieout-gpg-"
ABANDONED_S = 86_400
LAUNCHES_MAX = 3
KEY_TIMEOUT_S = 60
FILE_TIMEOUT_S = 3600
PRIVATE = 16
"""In the status of an import: the key came with its private part."""
INSTALL = (
    "Install GnuPG where Tieout runs: `apt-get install gnupg` on Debian and Ubuntu, `dnf install gnupg2` on Fedora."
)


@dataclass(frozen=True, slots=True)
class Key:
    """One OpenPGP key: `expires_at` is when it can no longer be used for what we need it for; None: never."""

    fingerprint: str
    expires_at: datetime | None
    revoked: bool = False


class Gpg:
    """The program in one temporary home. `section` is the part of the configuration whose keys are used."""

    def __init__(self, home: Path, section: str) -> None:
        self._home = home
        self._section = section
        program = shutil.which("gpg")
        if program is None:
            raise WrongConfiguration(f"{section}: there is no program gpg on this machine", next_step=INSTALL)
        self._program = program

    def run(self, *arguments: str, given: bytes = b"", timeout_s: int = KEY_TIMEOUT_S) -> tuple[int, list[str]]:
        """(exit status, lines of its machine-readable output). Its words for people are dropped: they name key holders.

        Raises SetAside when it does not end in time.
        """
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

    def add(self, reference: str, key: bytes, *, use: str, private: bool = False) -> Key:
        """Import the one key that a secret holds; `use` is `e` (encrypt) or `s` (sign). Raises WrongConfiguration."""
        _, said = self.run("--status-fd", "1", "--import", given=key)
        imported = [line.split() for line in said if line.startswith("[GNUPG:] IMPORT_OK ")]
        found = {fields[3] for fields in imported}
        if len(found) != 1:
            raise WrongConfiguration(
                f"{self._section}: secret {reference} holds {len(found)} OpenPGP keys; it must hold one"
            )
        if private and not any(int(fields[2]) & PRIVATE for fields in imported):
            raise WrongConfiguration(
                f"{self._section}: secret {reference} holds a public key; it must be the private one"
            )
        _, shown = self.run("--with-colons", "--fixed-list-mode", "--list-keys", *found)
        return _key([line.split(":") for line in shown], use)


@contextmanager
def gpg_home(section: str) -> Iterator[Gpg]:
    """A home for one use. What gpg started in it is ended with it. Raises WrongConfiguration without gpg, Unreachable without its agent."""
    _clear_abandoned()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        try:
            gpg = Gpg(Path(folder), section)
            # Where its agent cannot start, every private key would look like one that is not there.
            if not any(_conf(folder, "--launch", "gpg-agent") for _ in range(LAUNCHES_MAX)):
                raise Unreachable(
                    f"{section}: gpg-agent does not start on this machine, or not in time",
                    next_step="It is tried again. Its socket's path may have 107 bytes: if TMPDIR is a long one, set a shorter.",
                )
            yield gpg
        finally:
            _conf(folder, "--kill", "all")


def _conf(folder: str, *arguments: str) -> bool:
    """Whether gpgconf did it; without that program gpg starts and ends its agent by itself."""
    program = shutil.which("gpgconf")
    if program is None:
        return True
    try:
        done = subprocess.run(  # noqa: S603  (a fixed program)
            [program, "--homedir", folder, *arguments], check=False, capture_output=True, timeout=KEY_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _clear_abandoned() -> None:
    """A killed process leaves its home, and in it private keys. None of ours is at work for a day."""
    oldest = time.time() - ABANDONED_S
    for home in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            found = home.lstat()
            if found.st_uid == os.getuid() and found.st_mtime < oldest:
                shutil.rmtree(home)


def _key(records: list[list[str]], use: str) -> Key:
    """From gpg's colon format: a primary key with its subkeys; field 7 is the expiry, field 12 the uses."""
    primary = next(fields for fields in records if fields[0] == "pub")
    fingerprint = next(fields[9] for fields in records if fields[0] == "fpr")
    fit = [fields for fields in records if fields[0] in {"pub", "sub"} and use in fields[11]]
    ends = [_time(fields[6]) for fields in fit]
    last = None if None in ends else max((each for each in ends if each is not None), default=None)
    return Key(fingerprint, min(filter(None, (_time(primary[6]), last)), default=None), primary[1] == "r")


def _time(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if text.isdigit() else None
