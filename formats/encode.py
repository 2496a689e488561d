"""Compresses a written file, and reads a compressed one back: a stream in both directions, bounded, the same bytes each time."""

from __future__ import annotations

import gzip
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from payments.errors import Unreadable

PIECE_BYTES = 1 << 20
COMPRESSIONS = frozenset({"none", "gzip", "zstd"})


def compress(compression: str, source: Path, target: Path) -> None:
    """Write `target`, by `gzip` (no name and no time inside) or `zstd`. The same source gives the same bytes."""
    with source.open("rb") as plain, target.open("wb") as sink, _writer(compression, sink) as packed:
        shutil.copyfileobj(plain, packed, PIECE_BYTES)


@contextmanager
def _writer(compression: str, sink: BinaryIO) -> Iterator[BinaryIO]:
    if compression == "gzip":
        with gzip.GzipFile(filename="", mode="wb", fileobj=sink, mtime=0) as packed:
            yield cast("BinaryIO", packed)
    else:
        with pa.CompressedOutputStream(pa.PythonFile(sink, "w"), compression) as packed:
            yield cast("BinaryIO", packed)


def decompress(compression: str, source: Path, target: Path, *, bytes_max: int) -> None:
    """Write the content of a compressed file to `target`.

    Raises Unreadable when it is not such a file, is cut off, or holds more than `bytes_max` bytes: of those none is kept
    in memory, and no more than one piece is written beyond them.
    """
    written = 0
    with source.open("rb") as packed, target.open("wb") as sink:
        for piece in _pieces(compression, packed):
            written += len(piece)
            if written > bytes_max:
                raise Unreadable(f"its content is larger than {bytes_max} bytes")
            sink.write(piece)


def _pieces(compression: str, packed: BinaryIO) -> Iterator[bytes]:
    try:
        if not packed.read(1):
            raise Unreadable(f"it is empty, and no {compression} file")
        packed.seek(0)
        if compression == "gzip":
            with gzip.GzipFile(fileobj=packed, mode="rb") as content:
                while piece := content.read(PIECE_BYTES):
                    yield piece
            return
        with pa.CompressedInputStream(pa.PythonFile(packed, "r"), compression) as stream:
            while piece := stream.read(PIECE_BYTES):
                yield piece
    except (EOFError, OSError, zlib.error, pa.ArrowException) as error:
        raise Unreadable(f"it is not a whole {compression} file") from error
