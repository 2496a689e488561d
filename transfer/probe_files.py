"""What a server does with files: creating, telling sizes, renaming, listing, and what time it thinks it is."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from payments.errors import DeliveryFailed
from payments.ports import Clock
from transfer.probe_scratch import Scratch, create, look
from transfer.profile import EQUAL, HIDDEN, HONOURED, NOT_OFFERED, REFUSES, REPLACES, WORKS
from transfer.sftp_copy import fetch
from transfer.sftp_listing import LISTING_MAX
from transfer.sftp_wire import Code, Kind, ProtocolViolated, Refused, Wire, attributes, text

POSIX_RENAME = b"posix-rename@openssh.com"
NAMES = "dhbfaecg"  # neither in order nor in the reverse order


def exclusive_create(wire: Wire, scratch: Scratch) -> str:
    """Whether a file that exists is left alone when we ask for a new one."""
    path = scratch.put(wire, "exclusive", b"first")
    try:
        wire.done(wire.send(Kind.CLOSE, text(create(wire, path))))
    except Refused:
        found = look(wire, path)
        return HONOURED if found is not None and found.size == 5 else "refused, but the file was changed"
    return "ignored"


def stat_after_put(wire: Wire, scratch: Scratch) -> str:
    """Whether the size that the server tells is the size that we wrote."""
    try:
        found = look(wire, scratch.put(wire, "size", bytes(4321)))
    except Refused as refused:
        return f"refused: {refused.word}"
    if found is None:
        return "the file is gone"
    if found.size is None:
        return "no size is told"
    return EQUAL if found.size == 4321 else f"{found.size} bytes are told for 4321"


def read_back(wire: Wire, scratch: Scratch) -> str:
    """Whether the bytes that were written come back."""
    data = bytes(range(256)) * 17
    path = scratch.put(wire, "back", data)
    target = BytesIO()
    try:
        fetch(wire, path, len(data), target, len(data))
    except Refused as refused:
        return f"refused: {refused.word}"
    except DeliveryFailed:
        return "not as many bytes come back"
    return EQUAL if target.getvalue() == data else "other bytes come back"


def rename(wire: Wire, scratch: Scratch) -> str:
    """Whether a file can be given a free name."""
    source, target = scratch.put(wire, "rename-from", b"1"), scratch.path("rename-to")
    try:
        wire.done(wire.send(Kind.RENAME, text(source), text(target)))
    except Refused as refused:
        return f"refused: {refused.word}"
    return WORKS if look(wire, source) is None and look(wire, target) is not None else "confirmed, but not done"


def rename_existing(wire: Wire, scratch: Scratch) -> str:
    """What the plain rename does to a file that has the name already."""
    source, target = scratch.put(wire, "taken-from", b"22"), scratch.put(wire, "taken", b"1")
    return _onto(wire, source, target, Kind.RENAME, text(source), text(target))


def posix_rename(wire: Wire, scratch: Scratch) -> str:
    """The same for OpenSSH's extension, whose purpose is to replace."""
    if POSIX_RENAME not in wire.extensions:
        return NOT_OFFERED
    source, target = scratch.put(wire, "posix-from", b"22"), scratch.put(wire, "posix", b"1")
    return _onto(wire, source, target, Kind.EXTENDED, text(POSIX_RENAME), text(source), text(target))


def clock_skew_s(wire: Wire, scratch: Scratch, clock: Clock) -> int | None:
    """The time of a new file by the server's clock minus ours, in whole seconds; None when it tells no time."""
    before = clock.now()
    path = scratch.put(wire, "time", b"1")
    after = clock.now()
    found = look(wire, path)
    if found is None or not found.modified_s:
        return None
    # The server cut its time to whole seconds: half a second is the least that this can be wrong.
    return round(found.modified_s + 0.5 - (before + (after - before) / 2).timestamp())


def listing_order(wire: Wire, scratch: Scratch) -> str:
    """In which order names come, as far as eight files can tell."""
    made = [scratch.put(wire, f"list-{name}").rpartition(b"/")[2] for name in NAMES]
    listed = [name for name in _names(wire, scratch.directory) if name in made]
    if not listed:
        return HIDDEN
    orders = {
        "by name": sorted(made),
        "by name, reversed": sorted(made, reverse=True),
        "oldest first": made,
        "newest first": made[::-1],
    }
    return next((word for word, order in orders.items() if listed == order), "no order")


def _onto(wire: Wire, source: bytes, target: bytes, kind: Kind, *parts: bytes) -> str:
    """Two bytes are renamed to a name under which one byte lies. What counts is what lies where afterwards."""
    try:
        wire.done(wire.send(kind, *parts))
        answer = "confirmed"
    except Refused as refused:
        answer = f"refused: {refused.word}"
    sizes = tuple(None if found is None else found.size for found in (look(wire, source), look(wire, target)))
    match sizes:
        case (None, 2):
            return REPLACES if answer == "confirmed" else f"{answer}, but it replaced the file"
        case (2, 1):
            return REFUSES if answer != "confirmed" else "confirmed, but not done"
        case _:
            return f"{answer}, and a file was lost"


def _names(wire: Wire, directory: bytes) -> Iterator[bytes]:
    handle = wire.call(Kind.OPENDIR, text(directory), expected=Kind.HANDLE).text()
    seen = 0
    try:
        while seen < LISTING_MAX:
            fields = wire.call(Kind.READDIR, text(handle), expected=Kind.NAME)
            count = fields.number()
            if count == 0:
                raise ProtocolViolated("a slice of a listing is empty")
            seen += count
            for _ in range(count):
                name, _line, _found = fields.text(), fields.text(), attributes(fields)
                yield name
    except Refused as refused:
        if refused.code != Code.EOF:
            raise
    finally:
        wire.done(wire.send(Kind.CLOSE, text(handle)))
