"""What a test needs to know about an SFTP server that it started, and fresh keys for both sides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from payments.config import Sftp


@dataclass(frozen=True)
class SftpAccount:
    """A running server: `root` is where its sessions start, with inbox, outbox and archive in it."""

    host: str
    port: int
    user: str
    client_key: bytes
    host_key: str
    root: Path
    password: str = ""


def private_key(kind: str = "ed25519") -> bytes:
    """A fresh private key in OpenSSH form: `ed25519`, `ecdsa` or `rsa`."""
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    match kind:
        case "ecdsa":
            key = ec.generate_private_key(ec.SECP256R1())
        case "rsa":
            key = rsa.generate_private_key(65537, 2048)
        case _:
            key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def public_line(private: bytes) -> str:
    """The public key of a private one, as `type base64`."""
    public = load_ssh_private_key(private, None).public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def start_directory(folder: Path) -> Path:
    """`folder`/root with inbox, outbox and archive."""
    root = folder / "root"
    for name in ("inbox", "outbox", "archive"):
        (root / name).mkdir(parents=True)
    return root


def settings(account: SftpAccount, **changes: Any) -> Sftp:
    """How the configuration would describe this server; `changes` are other values for its keys."""
    known = {"host": account.host, "port": account.port, "user": account.user, "host_keys": [account.host_key]}
    return Sftp(**{**known, **changes})
