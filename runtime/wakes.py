"""Writes and reads wake-ups: messages that name whom to look after (a source, an acquirer) and never what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta

from payments.errors import SetAside
from payments.keys import NAME
from payments.ports import Queue
from runtime.notices import key_of

SOURCE = "tieout"
KIND = "Wake"
EXPORT = "Export"
"""What the page sends: a list that somebody asked for. Its `id` is that of the list."""
NUMBER = re.compile("[0-9a-f]{32}")
AGAIN_AFTER = timedelta(seconds=15)
"""Rare enough to cost nothing for hours, and soon for who waits for a lease of a minute that somebody killed has left."""


def wake(subject: str) -> str:
    """A message body; EventBridge Scheduler sends the same on AWS."""
    return json.dumps({"source": SOURCE, "detail-type": KIND, "detail": {"subject": subject}}, sort_keys=True)


def ask_again(queue: Queue, name: str, subject: str) -> None:
    """Send the same wake-up anew, for a little later: unlike one that fails, it is never given up."""
    queue.send(name, wake(subject), delay=AGAIN_AFTER)


def subject_of(body: str) -> str:
    """The subject of a wake-up. Raises SetAside for anything else."""
    try:
        message = json.loads(body)
        if message["source"] == SOURCE and message["detail-type"] == KIND:
            subject = message["detail"]["subject"]
            if isinstance(subject, str) and (not subject or NAME.fullmatch(subject)):
                return subject
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SetAside("a message is neither a notice nor a wake-up") from error
    raise SetAside("a message is neither a notice nor a wake-up")


def known(body: str, key_of: Callable[[str], str] = key_of) -> None:
    """Raises SetAside for what is neither a wake-up nor a notice."""
    try:
        subject_of(body)
    except SetAside:
        key_of(body)


def export_of(body: str) -> str:
    """The export that a message asks for. Raises SetAside for anything else."""
    try:
        message = json.loads(body)
        if message["source"] == SOURCE and message["detail-type"] == EXPORT and NUMBER.fullmatch(message["id"]):
            return f"export {message['id']}"
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SetAside("a message asks for no export") from error
    raise SetAside("a message asks for no export")


def about(body: str) -> str:
    """What a message is about: an object's key, a source or acquirer, or an export; `unknown` for anything else."""
    from runtime.deletion_notices import key_of_deletion  # of which only one function hears

    for read in (subject_of, key_of, export_of, key_of_deletion):
        try:
            return read(body)
        except SetAside:
            continue
    return "unknown"


def acquirer_of(body: str, key_of: Callable[[str], str] = key_of) -> str:
    """The acquirer that a wake-up names, or that an object belongs to (the second part of its key)."""
    try:
        return subject_of(body)
    except SetAside:
        _, _, rest = key_of(body).partition("/")
        acquirer = rest.partition("/")[0]
        if not NAME.fullmatch(acquirer):
            raise SetAside("a notice names an object that belongs to no acquirer") from None
        return acquirer
