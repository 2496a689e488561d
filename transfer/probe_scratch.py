"""The scratch directory of a probe: every file that a probe makes lies there, begins with a dot, and is removed again."""

from __future__ import annotations

import secrets
import struct

from payments.errors import NotAllowed
from transfer.sftp_copy import NO_ATTRIBUTES
from transfer.sftp_errors import shown
from transfer.sftp_wire import CREATE, EXCLUSIVE, WRITE, Attributes, Code, Kind, Refused, Wire, attributes, text

PREFIX = ".tieout-probe-"


class Scratch:
    """Names, files and their removal. `place` is what people are told."""

    def __init__(self, inbox: str, directory: str) -> None:
        """`directory` empty: the scratch directory is made in the inbox. Raises NotAllowed for what is no path."""
        base = (directory or inbox).rstrip("/")
        if "\0" in base:
            raise NotAllowed(f"{shown(base)} is no path for a remote directory")
        self._base = base
        self._may_stay_in_base = bool(directory) and base != inbox.rstrip("/")
        self.place = f"{base}/{PREFIX}{secrets.token_hex(6)}"
        self._own_directory = False
        self._made: list[bytes] = []

    def make(self, wire: Wire) -> None:
        """Make the directory. A server that refuses it may be probed in a directory that people named, never in the inbox."""
        try:
            wire.done(wire.send(Kind.MKDIR, text(self.place.encode()), NO_ATTRIBUTES))
        except Refused as refused:
            if self._may_stay_in_base and refused.code != Code.NO_SUCH_FILE:
                return
            raise NotAllowed(
                f"the server answered {refused.word!r} when asked to make the directory {shown(self.place)}",
                next_step="Ask the acquirer for a directory to probe in, and name it with --dir.",
            ) from refused
        self._own_directory = True

    def path(self, name: str) -> bytes:
        """Where a file of this name lies; from now on it is removed at the end."""
        path = f"{self.place}/.{name}" if self._own_directory else f"{self.place}-{name}"
        if path.encode() not in self._made:
            self._made.append(path.encode())
        return path.encode()

    @property
    def directory(self) -> bytes:
        """Where the files lie; other people's files may lie there too."""
        return (self.place if self._own_directory else self._base).encode()

    def put(self, wire: Wire, name: str, data: bytes = b"") -> bytes:
        """A new file with this content. Returns its path. Raises Refused."""
        path = self.path(name)
        handle = create(wire, path)
        if data:
            wire.done(wire.send(Kind.WRITE, text(handle), struct.pack(">Q", 0), text(data)))
        wire.done(wire.send(Kind.CLOSE, text(handle)))
        return path

    def clean(self, wire: Wire) -> tuple[str, ...]:
        """Remove everything that was made. Returns what the server did not let us remove."""
        left = [path.decode() for path in self._made if not _gone(wire, Kind.REMOVE, path)]
        if self._own_directory and not _gone(wire, Kind.RMDIR, self.place.encode()):
            left.append(self.place)
        return tuple(left)


def create(wire: Wire, path: bytes) -> bytes:
    """A handle on a file that did not exist. Raises Refused."""
    flags = struct.pack(">I", WRITE | CREATE | EXCLUSIVE)
    return wire.call(Kind.OPEN, text(path), flags, NO_ATTRIBUTES, expected=Kind.HANDLE).text()


def look(wire: Wire, path: bytes) -> Attributes | None:
    """What the server says of a file; None when it says that there is none. Raises Refused for any other no."""
    try:
        return attributes(wire.call(Kind.STAT, text(path), expected=Kind.ATTRS))
    except Refused as refused:
        if refused.code == Code.NO_SUCH_FILE:
            return None
        raise


def _gone(wire: Wire, kind: Kind, path: bytes) -> bool:
    try:
        wire.done(wire.send(kind, text(path)))
    except Refused as refused:
        return refused.code == Code.NO_SUCH_FILE
    return True
