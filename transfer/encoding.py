"""From a written file to the bytes that are sealed: compressed and encrypted where the acquirer wants it.

First compressed, read back and compared; then encrypted and signed; what comes out is sealed.
"""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from formats.encode import compress, decompress
from formats.gpg import Key
from payments.config import AcquirerSection
from payments.config_files import Pgp
from payments.errors import SetAside, WrongConfiguration
from payments.hashing import sha256_of
from payments.ports import Secrets
from transfer.pgp import encrypt, expiring

log = logging.getLogger(__name__)


def encode(
    acquirer: AcquirerSection, name: str, body: Path, secrets: Secrets | None, at: datetime
) -> tuple[Path, dict[str, Any]]:
    """The file to seal (`body` itself, or one beside it) and what its manifest must say so that its bytes can be read.

    A key that expires soon after `at` is an alarm in the log.

    Raises SetAside when the file was planned under another encoding, does not come back from its compression as it was,
    or when a key cannot be used; WrongConfiguration when a key is missing.
    """
    said: dict[str, Any] = {}
    if acquirer.layout is not None:
        said["layout"] = msgspec.to_builtins(acquirer.layout)
    compression, pgp = acquirer.encode.compression, acquirer.encode.pgp
    if not name.endswith(acquirer.encode.suffix):
        raise SetAside(f"file {name}: it was planned under another compression or encryption")
    if compression == "none" and pgp is None:
        return body, said
    encoding: dict[str, Any] = {"compression": compression}
    encoding |= {"content_sha256": sha256_of(body), "content_size": body.stat().st_size}
    said["encoding"] = encoding
    packed = body if compression == "none" else _compressed(compression, name, body, encoding)
    if pgp is None:
        return packed, said
    encrypted = body.with_name("encrypted")
    keys = _encrypted(acquirer.name, pgp, packed, encrypted, secrets)
    encoding["pgp"] = [key.fingerprint for key in keys]
    for warning in expiring(acquirer.name, keys, at, acquirer.keys_warn_days):
        log.warning("%s", warning)
    # A restart encrypts with another session key: the manifest cannot know which of the two was stored. The ledger does.
    return encrypted, {**said, "sha256": None, "size": None}


def over_bytes(acquirer: AcquirerSection, size: int) -> str:
    """Why a person must look at a file of this many bytes (before compression); empty when nobody must."""
    most = acquirer.split.bytes_per_file_max
    return f"limit: {size} bytes, at most {most}" if most and size > most else ""


def _compressed(compression: str, name: str, body: Path, encoding: dict[str, Any]) -> Path:
    packed, again = body.with_name("packed"), body.with_name("again")
    compress(compression, body, packed)
    decompress(compression, packed, again, bytes_max=encoding["content_size"])
    if sha256_of(again) != encoding["content_sha256"]:
        raise SetAside(f"file {name}: read back from its compression it is another")
    again.unlink()
    return packed


def _encrypted(acquirer: str, pgp: Pgp, source: Path, target: Path, secrets: Secrets | None) -> list[Key]:
    if secrets is None:
        raise WrongConfiguration(f"acquirer {acquirer}: encode.pgp: there are no secrets to encrypt with")
    return encrypt(
        source,
        target,
        [(reference, secrets.get(reference)) for reference in pgp.recipients],
        sign_key=(pgp.sign_key, secrets.get(pgp.sign_key)) if pgp.sign_key else None,
        passphrase=secrets.get(pgp.passphrase) if pgp.passphrase else b"",
    )
