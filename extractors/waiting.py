"""Extracts as a schedule asks for it: a source that cannot be read now waits for its next try, and its message does not come again."""

from __future__ import annotations

import logging
from collections.abc import Callable

from extractors.extract import BeingExtracted
from payments.errors import Busy, TieoutError
from payments.records import Run

log = logging.getLogger(__name__)


def extract_or_wait(name: str, extract: Callable[[], Run | None], ask_again: Callable[[], None]) -> Run | None:
    """The run, or None when there is nothing new or the source cannot be read now: the ledger says when it is tried again.

    A message that was repeated instead would be given up after some minutes, and a source that is read once a day would wait for
    the next day. Where somebody else is at it, only the message knows that it was asked for once more, and the other may take
    hours, or be dead: `ask_again` sends a new message, whose receives begin anew. Raises Busy for any other record under way.
    """
    try:
        return extract()
    except BeingExtracted as error:
        log.info("%s: it is asked for again", error)
        ask_again()
        return None
    except Busy:
        raise
    except TieoutError as error:
        log.warning("source %s waits for its next try: %s: %s. %s", name, type(error).__name__, error, error.next_step)
        return None
