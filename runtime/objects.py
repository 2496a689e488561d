"""Checks object keys and hashes objects piece by piece: what every object store has in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from payments.errors import NotStored, SetAside, Unreadable

KEY_LENGTH_MAX = 900  # S3 allows 1,024 bytes with the store's own prefix
PART_LENGTH_MAX = 255  # the longest file name of every common file system
PIECE_BYTES = 1 << 20
GET_BYTES_MAX = 256 << 20
HIDDEN = ".tmp"
"""The directory beside the stores in which a file store writes; no key begins with it."""


def check_key(key: str) -> str:
    """The key itself, when it names the same harmless place in every store. Raises SetAside.

    Allowed: 1 to 900 printable ASCII characters, parts divided by one `/`, none of them empty, `.` or `..`.
    """
    parts = key.split("/")
    if key == "" or len(key) > KEY_LENGTH_MAX or any(len(part) > PART_LENGTH_MAX for part in parts):
        raise SetAside(f"an object key of {len(key)} characters is not allowed: {key[:60]!a}")
    if not _printable(key) or "\\" in key:
        raise SetAside(f"object key {key!a} holds a character other than printable ASCII, or a backslash")
    if parts[0] == HIDDEN or any(part in {"", ".", ".."} for part in parts):
        raise SetAside(f"object key {key!a} has an empty part, '.', '..' or begins with {HIDDEN}")
    return key


def allowed(key: str) -> bool:
    """Whether `check_key` takes it: false for what somebody else put among our objects."""
    try:
        check_key(key)
    except SetAside:
        return False
    return True


def check_prefix(prefix: str) -> str:
    """The same for the beginning of a key: it may be empty and may end anywhere. Raises SetAside."""
    if prefix:
        # With one more letter the beginning of a key is a key: `raw/` becomes `raw/x`, and `raw/..` is still refused.
        check_key(f"{prefix}x" if prefix.endswith("/") else prefix)
    return prefix


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def missing(key: str) -> NotStored:
    """The error for a key under which nothing is stored."""
    return NotStored(
        f"object {key!a} is not in the store",
        next_step="`tieout prove` shows what was recorded under this key; restore the object from a backup.",
    )


def too_large(key: str, size: int) -> Unreadable:
    """The error for an object that may not be read whole."""
    return Unreadable(f"object {key!a} has {size} bytes; at most {GET_BYTES_MAX} are read at once")


def pieces_of(stream: BinaryIO) -> Iterator[bytes]:
    """What is left of a stream, in pieces of 1 MiB."""
    while piece := stream.read(PIECE_BYTES):
        yield piece


def measured(pieces: Iterable[bytes]) -> tuple[int, str]:
    """(size, hex SHA-256) of all pieces together."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()
