"""Public host keys that are pinned: how they are written, read and named. Any other key closes the door."""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from payments.config_drops import Login
from payments.errors import WrongConfiguration
from transfer.sftp_wire import Fields, ProtocolViolated

ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),  # an RSA key, never signed with SHA-1
}
SFTP_SECTION, JUMP_SECTION = "acquirer.sftp", "acquirer.sftp.jump"


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A public host key that the acquirer told us: its type and its bytes as SSH sends them."""

    kind: str
    blob: bytes


Pins = Callable[[], Sequence[PinnedKey]]
"""The host keys that are accepted at this moment."""


def fingerprint(blob: bytes) -> str:
    """`SHA256:` and the unpadded base64 of the hash, as OpenSSH prints it."""
    return "SHA256:" + b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def pinned_keys(settings: Login, section: str = SFTP_SECTION) -> list[PinnedKey]:
    """The host keys of the configuration, in its order. Raises WrongConfiguration."""
    return [pinned_key(line, at, section) for at, line in enumerate(settings.host_keys)]


def pinned_key(line: str, at: int, section: str = SFTP_SECTION) -> PinnedKey:
    """One of them. Raises WrongConfiguration with its place."""
    found = public_key(line)
    if found is None:
        raise WrongConfiguration(
            f"{section}.host_keys[{at}] is no public key of a kind we know; allowed: {', '.join(ALGORITHMS)}",
            next_step="Put the whole line of the server's public host key there: `ssh-ed25519 AAAA...`.",
        )
    return found


def public_key(line: str) -> PinnedKey | None:
    """A host key as `ssh-keyscan` and `*.pub` files write it, without the host: `type base64 [comment]`. None: it is none."""
    kind, _, rest = line.strip().partition(" ")
    try:
        blob = b64decode(rest.split(" ")[0], validate=True)
        whole = Fields(blob).text() == kind.encode()
    except (binascii.Error, ProtocolViolated, ValueError):
        whole = False
    return PinnedKey(kind, blob) if whole and kind in ALGORITHMS else None
