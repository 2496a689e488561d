"""Extracts as a schedule asks for it: a source that cannot be read waits for its next try, and its message does not come again."""

from __future__ import annotations

import logging
from collections.abc import Callable

from payments.errors import Busy, TieoutError
from payments.records import Run

log = logging.getLogger(__name__)


def extract_or_wait(name: str, extract: Callable[[], Run | None]) -> Run | None:
    """The run, or None when there is nothing new or the source cannot be read now: the ledger says when it is tried again.

    A message that was repeated instead would be given up after some minutes, and a source that is read once a day would wait for
    the next day. Raises Busy: then somebody else is at it, and only the message knows that it was asked for once more.
    """
    try:
        return extract()
    except Busy:
        raise
    except TieoutError as error:
        log.warning("source %s waits for its next try: %s: %s. %s", name, type(error).__name__, error, error.next_step)
        return None
