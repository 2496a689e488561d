"""Writes and reads wake-ups: messages that name whom to look after (a source, an acquirer) and never what to do."""

from __future__ import annotations

import json

from payments.errors import SetAside
from payments.keys import NAME
from runtime.notices import key_of

SOURCE = "tieout"
KIND = "Wake"


def wake(subject: str) -> str:
    """A message body; EventBridge Scheduler sends the same on AWS."""
    return json.dumps({"source": SOURCE, "detail-type": KIND, "detail": {"subject": subject}}, sort_keys=True)


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


def about(body: str) -> str:
    """What a message is about: an object's key, or the source or acquirer of a wake-up; `unknown` for anything else."""
    for read in (subject_of, key_of):
        try:
            return read(body)
        except SetAside:
            continue
    return "unknown"


def acquirer_of(body: str) -> str:
    """The acquirer that a wake-up names, or that an object belongs to (the second part of its key)."""
    try:
        return subject_of(body)
    except SetAside:
        _, _, rest = key_of(body).partition("/")
        acquirer = rest.partition("/")[0]
        if not NAME.fullmatch(acquirer):
            raise SetAside("a notice names an object that belongs to no acquirer") from None
        return acquirer
