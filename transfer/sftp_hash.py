"""Asks an SFTP server for the SHA-256 of a file that lies there, so that it need not travel back to be compared.

Source: draft-ietf-secsh-filexfer-extensions-00, section 3 (check-file). Servers announce and name the request in three ways.
"""

from __future__ import annotations

import struct
from contextlib import suppress

from payments.errors import DeliveryFailed
from transfer.sftp_copy import NO_ATTRIBUTES
from transfer.sftp_wire import READ, Fields, Kind, ProtocolViolated, Refused, Steps, Wire, text

ANNOUNCED = {b"check-file", b"check-file-handle", b"check-file-name"}
SHA256 = b"sha256"
SHA256_BYTES = 32


def hashed(wire: Wire, path: bytes) -> Steps[str]:
    """Hex SHA-256 of the whole file by the server's own account. Raises Refused; DeliveryFailed when it offers no such thing."""
    if not ANNOUNCED & {name.partition(b"@")[0] for name in wire.extensions}:
        raise _not_offered()
    opening = struct.pack(">I", READ)
    handle = (yield from wire.asked(Kind.OPEN, text(path), opening, NO_ATTRIBUTES, expected=Kind.HANDLE)).text()
    try:
        return _digest((yield from _asked(wire, path, handle)))
    finally:
        # Nothing depends on how a file that was only read is closed; the answer is thrown away.
        with suppress(EOFError, OSError):
            wire.forget([wire.send(Kind.CLOSE, text(handle))])


def _asked(wire: Wire, path: bytes, handle: bytes) -> Steps[Fields]:
    # Offset 0, length 0 (to the end), block size 0 (one hash of all).
    what = text(SHA256) + struct.pack(">QQI", 0, 0, 0)
    refusal: Refused | None = None
    for request in (
        text(b"check-file-handle") + text(handle) + what,
        text(b"check-file-name") + text(path) + what,
        text(b"check-file") + text(handle) + what,
    ):
        try:
            return (yield from wire.asked(Kind.EXTENDED, request, expected=Kind.EXTENDED_REPLY))
        except Refused as refused:
            refusal = refused
    raise _not_offered() from refusal


def _digest(fields: Fields) -> str:
    word = fields.text()
    algorithm = fields.text() if word == b"check-file" else word
    if algorithm != SHA256 or fields.left != SHA256_BYTES:
        raise ProtocolViolated("what came back is no SHA-256")
    return fields.number(SHA256_BYTES).to_bytes(SHA256_BYTES).hex()


def _not_offered() -> DeliveryFailed:
    return DeliveryFailed(
        "the server does not tell the SHA-256 of a file",
        next_step='Set `verify = "read_back"` for this acquirer; `tieout acquirer NAME probe` shows what its server offers.',
    )
