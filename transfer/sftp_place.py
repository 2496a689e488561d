"""Gives an uploaded file its name on an SFTP server, in steps: is the name free, the rename itself, and a last look behind it.

rename   LSTAT target -> RENAME -> (answered no) what lies where now?                 two round trips, for a file alone
free     LSTAT target                              asked ahead, while the file before it is being renamed
place    RENAME, STAT target, one right behind the other -> the rename's answer first, then the look      one round trip
"""

from __future__ import annotations

import logging
from contextlib import suppress

from payments.errors import NotAllowed, TargetExists, Unreachable
from transfer.sftp_errors import shown
from transfer.sftp_wire import Attributes, Code, Kind, Refused, Steps, Wire, attributes, text

log = logging.getLogger(__name__)


def path_bytes(path: str) -> bytes:
    # Some servers end a name at a NUL and would act on another file than the one we name.
    if path and "\0" not in path:
        with suppress(UnicodeEncodeError):
            return path.encode()
    raise NotAllowed(f"{shown(path)} is no path for a remote file")


def found(wire: Wire, kind: Kind, path: str) -> Steps[Attributes | None]:
    """What lies there; `kind` is STAT, or LSTAT, which does not follow links. None: nothing."""
    try:
        return attributes((yield from wire.asked(kind, text(path_bytes(path)), expected=Kind.ATTRS)))
    except Refused as refused:
        if refused.code == Code.NO_SUCH_FILE:
            return None
        raise


def free(wire: Wire, server: str, target: str) -> Steps[None]:
    """Raises TargetExists: some servers would replace what lies there without a word."""
    if (yield from found(wire, Kind.LSTAT, target)) is not None:
        raise _target_exists(server, target)


def rename(wire: Wire, server: str, temporary: str, target: str) -> Steps[None]:
    yield from free(wire, server, target)
    yield from _moved(wire, server, _ask(wire, temporary, target), temporary, target)


def place(wire: Wire, server: str, temporary: str, target: str) -> Steps[Attributes | None]:
    """The rename, and what lies under the target behind it; None where nothing does, or nobody can say any more."""
    move = _ask(wire, temporary, target)
    look = wire.send(Kind.STAT, text(path_bytes(target)))
    try:
        yield from _moved(wire, server, move, temporary, target)
    except Exception:
        wire.forget((look,))
        raise
    # The server said yes: whatever goes wrong with the look takes away nothing of that.
    try:
        yield look
        return attributes(wire.answer(look, Kind.ATTRS))
    except Refused as refused:
        if refused.code != Code.NO_SUCH_FILE:
            log.info("%s was placed; asked what lies there, %s answered %r", shown(target), server, refused.word)
    except Exception as error:  # noqa: BLE001  (a link that broke behind the rename's answer)
        log.info("%s was placed; it could not be looked at again: %s", shown(target), type(error).__name__)
    return None


def _ask(wire: Wire, temporary: str, target: str) -> int:
    return wire.send(Kind.RENAME, text(path_bytes(temporary)), text(path_bytes(target)))


def _moved(wire: Wire, server: str, number: int, temporary: str, target: str) -> Steps[None]:
    try:
        yield from wire.confirmed(number)
    except Refused as refused:
        yield from _explain(wire, server, refused, temporary, target)
        raise


def _explain(wire: Wire, server: str, refused: Refused, temporary: str, target: str) -> Steps[None]:
    """A refusal proves that nothing was placed only while our temporary file is still there.

    Otherwise somebody took it: Unreachable, as for a lost answer. Raises TargetExists when the target is there now.
    """
    if (yield from found(wire, Kind.LSTAT, temporary)) is None:
        raise Unreachable(
            f"{server} answered {refused.word!r} when asked to rename to {shown(target)}, but the"
            " temporary file is gone: the answer does not tell whether the file was placed",
            next_step="Ask the acquirer whether the file arrived, under its name or the temporary one.",
        ) from refused
    if (yield from found(wire, Kind.LSTAT, target)) is not None:
        raise _target_exists(server, target) from refused


def _target_exists(server: str, target: str) -> TargetExists:
    return TargetExists(f"{shown(target)} exists already on {server}")
