"""Logs as one line of JSON each, on standard error, with a filter that masks what must not be there (I7)."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from payments.masking import masked

LIBRARIES = ("paramiko", "asyncio", "botocore", "boto3", "urllib3", "aws_lambda_powertools", "alembic")
"""Loggers of other people's code: they speak from warnings on."""


class JsonLines(logging.Formatter):
    """One JSON object per record: time, level, room, message. A traceback is reduced to types and places."""

    def format(self, record: logging.LogRecord) -> str:
        shown = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(message_of(record)),
        }
        if record.exc_info and record.exc_info[1] is not None:
            shown["error"] = type(record.exc_info[1]).__name__
            shown["place"] = place_of(record.exc_info[1])
        return json.dumps(shown, ensure_ascii=True)


def message_of(record: logging.LogRecord) -> str:
    """With its arguments; without them where they do not fit: Python would print them beside its own complaint."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)


def place_of(error: BaseException) -> str:
    """Where it was raised; the text of an exception we do not know may hold anything, so it is not shown."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"


def configure_logging(level: int = logging.INFO) -> None:
    """For processes of the service. Other people's libraries speak from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
