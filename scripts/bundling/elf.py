"""Cuts from a shared library what the loader never reads: its table of sections, symbols for debuggers, debug information.

A loader follows the program headers only. What lies behind the last byte that they name serves linkers and debuggers. Cutting
there needs no tool and works for every processor alike, so that the bytes do not depend on who builds.
"""

from __future__ import annotations

import struct
from pathlib import Path

MAGIC = b"\x7fELF\x02\x01"
"""A 64-bit ELF file, little-endian: what x86_64 and arm64 wheels hold."""
PROGRAM_HEADERS_AT = 0x20
SECTION_HEADERS_AT = 0x28
PROGRAM_HEADER_SIZE_AT = 0x36
SECTION_COUNTS_AT = 0x3C


def cut(path: Path) -> None:
    """Rewrite the library at `path`; any other file stays as it is."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return
    data = bytearray(path.read_bytes())
    (headers_at,) = struct.unpack_from("<Q", data, PROGRAM_HEADERS_AT)
    size, count = struct.unpack_from("<HH", data, PROGRAM_HEADER_SIZE_AT)
    end = headers_at + size * count
    for number in range(count):
        offset, _virtual, _physical, length = struct.unpack_from("<QQQQ", data, headers_at + number * size + 8)
        end = max(end, offset + length)
    if end >= len(data):
        return
    struct.pack_into("<Q", data, SECTION_HEADERS_AT, 0)
    struct.pack_into("<HH", data, SECTION_COUNTS_AT, 0, 0)
    path.write_bytes(data[:end])
