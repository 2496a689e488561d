"""Turns what an SFTP server says about files into RemoteFile, and reads directories without trusting what they hold."""

from __future__ import annotations

import hashlib
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from payments.errors import DeliveryFailed
from payments.remote_ports import RemoteFile
from transfer.sftp_errors import shown
from transfer.sftp_wire import Attributes, Code, Fields, Kind, ProtocolViolated, Refused, Wire, attributes, text

LISTING_MAX = 100_000
LISTING_S_MAX = 600.0
"""Each answer has a limit of its own, but one entry an answer, each just in time, would hold up the polls for weeks."""
SIZE_MAX = 2**63 - 1
"""What a database keeps as a size. Whoever claims more, or says nothing, gets this: it is above every limit of ours."""
NAME_BYTES_MAX = 1_000
"""No file system has longer names, and no database indexes much longer ones."""
NAME_KEPT = 100
PLAIN, DIRECTORY = b"-", b"d"


def files_of(wire: Wire, directory: bytes, now: Callable[[], float] = time.monotonic) -> list[RemoteFile]:
    """What a directory holds but directories, by name. Raises Refused, ProtocolViolated, DeliveryFailed above a limit."""
    handle = wire.call(Kind.OPENDIR, text(directory), expected=Kind.HANDLE).text()
    try:
        kinds = ((name, _kind(found, line), found) for name, line, found in _entries(wire, handle, now))
        files = [_listed(name, kind, found) for name, kind, found in kinds if kind != DIRECTORY]
    finally:
        # What was listed stays true however the directory is closed.
        with suppress(Refused, EOFError, OSError):
            wire.done(wire.send(Kind.CLOSE, text(handle)))
    return sorted(files, key=lambda each: each.name)


def remote_file(name: str, found: Attributes) -> RemoteFile:
    """Raises DeliveryFailed when the server gives no size: nothing can be proved without one."""
    if found.size is None:
        raise DeliveryFailed(
            f"the server gives no size for {shown(name)}",
            next_step="Ask the acquirer for a server that tells sizes: without them no delivery can be proved.",
        )
    return RemoteFile(name, found.size, found.modified_s)


def _listed(name: str, kind: bytes, found: Attributes) -> RemoteFile:
    # One entry without a size must not end a poll of all others: what claims to be huge is refused by itself.
    size = SIZE_MAX if found.size is None else min(found.size, SIZE_MAX)
    return RemoteFile(name, size, found.modified_s, plain=kind == PLAIN)


def _entries(wire: Wire, handle: bytes, now: Callable[[], float]) -> Iterator[tuple[str, bytes, Attributes]]:
    """(name, line as `ls -l` prints it, attributes) of everything in an open directory."""
    seen, deadline = 0, now() + LISTING_S_MAX
    while (fields := _slice(wire, handle)) is not None:
        count = fields.number()
        if count == 0:
            raise ProtocolViolated("a slice of a listing is empty")
        seen += count
        if seen > LISTING_MAX:
            raise DeliveryFailed(
                f"a remote directory lists more than {LISTING_MAX} entries",
                next_step="Ask the acquirer to clear it; nothing of it is collected before.",
            )
        if now() > deadline:
            raise DeliveryFailed(
                f"a remote directory was not listed in {LISTING_S_MAX:.0f} s, with {seen} entries so far",
                next_step="Ask the acquirer to clear it, and what slows its server down; it is tried again.",
            )
        for _ in range(count):
            name, line = fields.text(), fields.text()
            yield _storable(name), line, attributes(fields)


def _slice(wire: Wire, handle: bytes) -> Fields | None:
    try:
        return wire.call(Kind.READDIR, text(handle), expected=Kind.NAME)
    except Refused as refused:
        if refused.code == Code.EOF:
            return None
        raise


def _storable(name: bytes) -> str:
    # As the server sends it, save for what no database takes: bytes outside UTF-8 and NUL are written in hexadecimal.
    kept = name.decode(errors="backslashreplace").replace("\0", "\\x00")
    if len(kept.encode()) > NAME_BYTES_MAX:
        # With a slash, which no name has: it fits no rule, so an alarm tells of it.
        return f"{kept[:NAME_KEPT]}/{hashlib.sha256(name).hexdigest()}"
    return kept


def _kind(found: Attributes, line: bytes) -> bytes:
    """What it is, by the letter of `ls -l`."""
    # Without type bits the printed line decides; in doubt it is a file, so that none is overlooked.
    if found.mode is None or stat.S_IFMT(found.mode) == 0:
        return line[:1] if line[:1] in {DIRECTORY, b"l", b"b", b"c", b"p", b"s"} else PLAIN
    return stat.filemode(found.mode)[:1].encode()
