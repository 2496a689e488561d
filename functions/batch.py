"""What every handler shares: the world, built once per process, and the batch in which each message succeeds or fails alone."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from functions.leftovers import clear
from payments.errors import Busy, TieoutError, Unreachable
from payments.leasing import MayBegin, always

if TYPE_CHECKING:
    from runtime.wiring import World

log = logging.getLogger(__name__)

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

MARGIN_S = 120
"""What was begun must be done within so much time: a file that is uploading, a pass over results."""
FUNCTION = "AWS_LAMBDA_FUNCTION_NAME"
"""The variable that Lambda sets, and nobody else."""

Watch = Callable[[str], AbstractContextManager[None]]
"""Given a message's body, what surrounds the work on it: log lines and traces that name what they are about."""

Rest = Callable[[Any, Exception], None]
"""Given a record that failed and its error: says to the queue when the message comes again."""

_worlds: list[World] = []
_watches: list[Watch] = []
_rests: list[Rest] = []


def use(world: World) -> None:
    """Let the handlers of this process work in `world`: a local worker's, which also emits notices and has its own log.

    It puts failed messages back itself.
    """
    _worlds[:], _watches[:], _rests[:] = [world], [lambda _body: nullcontext()], [lambda _record, _error: None]


def world() -> World:
    """Lazily, never at import: a cold start pays only for what its handler uses."""
    if not _worlds:
        from runtime.wiring import World

        if FUNCTION in os.environ:
            clear(Path(tempfile.gettempdir()))
        _worlds.append(World.open())
    return _worlds[0]


def watch() -> Watch:
    """As `use` was told; where nobody called it, this is a function's own environment, and Powertools watches."""
    if not _watches:
        from functions.observe import Observation

        _watches.append(Observation().of)
    return _watches[0]


def rest() -> Rest:
    """As `use` was told, else that of SQS and Lambda, which leave a failed message alone until its visibility ends."""
    if not _rests:
        from functions.resting import Resting

        _rests.append(Resting(world))
    return _rests[0]


def time_left(context: object) -> MayBegin:
    """Says no from `MARGIN_S` before Lambda ends this invocation. A worker of our own, which gives no context, is never ended."""
    if not hasattr(context, "get_remaining_time_in_millis"):
        return always
    remaining_ms: Callable[[], int] = context.get_remaining_time_in_millis
    return lambda: remaining_ms() > MARGIN_S * 1000


def handle(event: dict[str, Any], act: Callable[[str], object]) -> dict[str, Any]:
    """Call `act` with each message's body; answer which messages failed, so that only those come again."""
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    about, rested = watch(), rest()

    def one(record: Any) -> None:
        with about(record.body), failures_said():
            try:
                act(record.body)
            except Exception as error:  # let through: said above, and answered as failed
                rested(record, error)
                raise

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return dict(process_partial_response(event=event, record_handler=one, processor=processor, context=None))


@contextmanager
def by_itself(name: str) -> Iterator[None]:
    """Around what a function does that no message asked for. Lambda prints what it raises: of an unknown error only its type."""
    from runtime.wakes import wake

    try:
        with watch()(wake(name)), failures_said():
            yield
    except TieoutError:
        raise
    except Exception as error:  # noqa: BLE001  (raised on, without what it says)
        raise RuntimeError(f"{name} failed: {type(error).__name__}; the line before says where") from None


@contextmanager
def failures_said() -> Iterator[None]:
    """Say in the log what goes wrong with a message, and let it through: then the message comes again."""
    try:
        yield
    except TieoutError as error:
        # Busy is everyday life: a notice that came a moment before its record.
        level = logging.INFO if isinstance(error, Busy) else logging.WARNING
        log.log(level, "%s: %s. %s", type(error).__name__, error, error.next_step)
        raise
    except OSError as error:
        # Wherever it came from, a spool or a library: a full disk is said in words.
        if error.errno not in NO_SPACE:
            log.exception("a message failed for a reason that is not known here")
            raise
        full = Unreachable("no space left on this machine", next_step="Free space: nothing was lost.")
        log.warning("%s: %s. %s", type(full).__name__, full, full.next_step)
        raise full from error
    except Exception:  # said, and let through: nothing is silenced
        log.exception("a message failed for a reason that is not known here")
        raise
