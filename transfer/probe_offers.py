"""What a server offers beyond version 3 of the protocol, tried where it announces it: fsync, limits, free space, hashes.

Sources: OpenSSH's PROTOCOL file (fsync, limits, statvfs), draft-ietf-secsh-filexfer-extensions-00 (check-file, md5-hash).
"""

from __future__ import annotations

import hashlib
import struct

from transfer.probe_scratch import Scratch, create
from transfer.profile import NOT_OFFERED, RIGHT, WORKS
from transfer.sftp_copy import NO_ATTRIBUTES
from transfer.sftp_wire import FSYNC, LIMITS, READ, Fields, Kind, ProtocolViolated, Refused, Wire, text

STATVFS = b"statvfs@openssh.com"
CHECK_FILE = (b"check-file", b"check-file-handle", b"check-file-name")
MD5_HASH = (b"md5-hash", b"md5-hash-handle")
ALGORITHMS = ("sha256", "sha384", "sha512", "sha224", "sha1", "md5")
CONTENT = bytes(range(250)) * 4


def fsync(wire: Wire, scratch: Scratch) -> str:
    if FSYNC not in wire.extensions:
        return NOT_OFFERED
    handle = create(wire, scratch.path("fsync"))
    try:
        wire.done(wire.send(Kind.EXTENDED, text(FSYNC), text(handle)))
    except Refused as refused:
        return f"refused: {refused.word}"
    finally:
        wire.done(wire.send(Kind.CLOSE, text(handle)))
    return WORKS


def limits(wire: Wire) -> dict[str, int] | None:
    """packet, read, write (bytes) and handles; 0: not told. None: not offered."""
    fields = _asked(wire, LIMITS)
    return None if fields is None else {name: fields.number(8) for name in ("packet", "read", "write", "handles")}


def free_bytes(wire: Wire, scratch: Scratch) -> int | None:
    """What we may still use on the file system of the scratch directory; None: not offered."""
    fields = _asked(wire, STATVFS, text(scratch.directory))
    if fields is None:
        return None
    _bsize, block, _blocks, _free, available = (fields.number(8) for _ in range(5))
    return block * available


def hashes(wire: Wire, scratch: Scratch) -> dict[str, str]:
    """Extension -> verdict, of those that hash a file which is there."""
    announced = {name.partition(b"@")[0] for name in wire.extensions}
    tried = [(names, ask) for names, ask in ((CHECK_FILE, _check_file), (MD5_HASH, _md5_hash)) if announced & {*names}]
    if not tried:
        return {}
    path = scratch.put(wire, "hash", CONTENT)
    handle = wire.call(Kind.OPEN, text(path), struct.pack(">I", READ), NO_ATTRIBUTES, expected=Kind.HANDLE).text()
    found = {}
    for names, ask in tried:
        try:
            found[names[0].decode()] = ask(wire, path, handle)
        except (Refused, ProtocolViolated) as error:
            found[names[0].decode()] = f"announced, but it fails: {error}"
    wire.done(wire.send(Kind.CLOSE, text(handle)))
    return found


def _check_file(wire: Wire, path: bytes, handle: bytes) -> str:
    # Servers differ in the name of the request; offset 0, length 0 (to the end, as a delivery asks), one block.
    asked = text(",".join(ALGORITHMS).encode()) + struct.pack(">QQI", 0, 0, 0)
    fields = _first_answer(
        wire,
        (text(b"check-file-handle") + text(handle) + asked),
        (text(b"check-file-name") + text(path) + asked),
        (text(b"check-file") + text(handle) + asked),
    )
    word = fields.text()
    algorithm = (fields.text() if word == b"check-file" else word).decode(errors="replace")
    if algorithm not in ALGORITHMS:
        return "announced, but its algorithm is unknown"
    right = hashlib.new(algorithm, CONTENT, usedforsecurity=False).digest() == _rest(fields)
    return f"{RIGHT} ({algorithm})" if right else f"wrong ({algorithm})"


def _md5_hash(wire: Wire, path: bytes, handle: bytes) -> str:
    asked = struct.pack(">QQ", 0, len(CONTENT)) + text(b"")
    fields = _first_answer(
        wire,
        text(b"md5-hash-handle") + text(handle) + asked,
        text(b"md5-hash") + text(path) + asked,
    )
    fields.text()
    right = fields.text() == hashlib.md5(CONTENT, usedforsecurity=False).digest()
    return f"{RIGHT} (md5)" if right else "wrong (md5)"


def _first_answer(wire: Wire, *requests: bytes) -> Fields:
    """Of the first request that is not refused. Raises the last refusal."""
    refusal: Refused | None = None
    for request in requests:
        try:
            return wire.call(Kind.EXTENDED, request, expected=Kind.EXTENDED_REPLY)
        except Refused as refused:
            refusal = refused
    raise refusal or ProtocolViolated("nothing was asked")


def _asked(wire: Wire, extension: bytes, *parts: bytes) -> Fields | None:
    if extension not in wire.extensions:
        return None
    try:
        return wire.call(Kind.EXTENDED, text(extension), *parts, expected=Kind.EXTENDED_REPLY)
    except Refused:
        return None


def _rest(fields: Fields) -> bytes:
    size = fields.left
    return fields.number(size).to_bytes(size)
