"""What every handler shares: the world, built once per process, and the batch in which each message succeeds or fails alone."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from payments.errors import Busy, TieoutError, Unreachable

if TYPE_CHECKING:
    from runtime.wiring import World

log = logging.getLogger(__name__)

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_worlds: list[World] = []


def use(world: World) -> None:
    """Let the handlers of this process work in `world`: a local worker's, which also emits notices."""
    _worlds[:] = [world]


def world() -> World:
    """Lazily, never at import: a cold start pays only for what its handler uses."""
    if not _worlds:
        from runtime.wiring import World

        use(World.open())
    return _worlds[0]


def handle(event: dict[str, Any], act: Callable[[str], object]) -> dict[str, Any]:
    """Call `act` with each message's body; answer which messages failed, so that only those come again."""
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    def one(record: Any) -> None:
        try:
            act(record.body)
        except TieoutError as error:
            # Busy is everyday life: a notice that came a moment before its record.
            level = logging.INFO if isinstance(error, Busy) else logging.WARNING
            log.log(level, "%s: %s. %s", type(error).__name__, error, error.next_step)
            raise
        except OSError as error:
            # Wherever it came from, a spool or a library: a full disk is said in words, and the message comes again.
            if error.errno not in NO_SPACE:
                log.exception("a message failed for a reason that is not known here")
                raise
            full = Unreachable("no space left on this machine", next_step="Free space: nothing was lost.")
            log.warning("%s: %s. %s", type(full).__name__, full, full.next_step)
            raise full from error
        except Exception:
            log.exception("a message failed for a reason that is not known here")
            raise

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return dict(process_partial_response(event=event, record_handler=one, processor=processor, context=None))
