"""Encrypts a file to OpenPGP keys, and signs it where asked, through the `gpg` program in a home of its own that is gone afterwards.

The bytes differ each time, because every session key is new: what is sealed is known by its hash, not by writing it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from formats.gpg import FILE_TIMEOUT_S, Key, gpg_home
from payments.config_files import Pgp
from payments.errors import SetAside
from payments.ports import Secrets

SECTION = "encode.pgp"
DAYS = 30


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
    with gpg_home(SECTION) as gpg:
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
    with gpg_home(SECTION) as gpg:
        keys = [gpg.add(reference, secrets.get(reference), use="e") for reference in pgp.recipients]
        return keys + ([gpg.add(pgp.sign_key, secrets.get(pgp.sign_key), use="s")] if pgp.sign_key else [])


def expiring(acquirer: str, keys: Sequence[Key], at: datetime, days: int = DAYS) -> list[str]:
    """What to say of keys that expire within `days` of `at`, or have expired."""
    return [
        f"acquirer {acquirer}: OpenPGP key {key.fingerprint} {'expired' if key.expires_at <= at else 'expires'} "
        f"on {key.expires_at:%Y-%m-%d}: ask for its successor, and name that one as well"
        for key in keys
        if key.expires_at is not None and key.expires_at <= at + timedelta(days=days)
    ]
