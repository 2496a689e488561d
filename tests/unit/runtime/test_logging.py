"""What a log line looks like, and what it never shows."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from runtime.logging import JsonLines

CANARY = "DE89370400440532013000"


def line(message: str, *arguments: object, error: BaseException | None = None) -> dict[str, Any]:
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("local.worker", logging.WARNING, "worker.py", 1, message, arguments, exc_info)
    text = JsonLines().format(record)
    assert "\n" not in text
    assert text.isascii()
    shown: dict[str, Any] = json.loads(text)
    return shown


def test_a_record_is_one_line_of_json() -> None:
    """Time in UTC, level, room and message; a line break or another script stays inside the one line."""
    shown = line("file %s\nis düe", "n_1.csv")
    assert shown["message"] == "file n_1.csv\nis düe"
    assert (shown["level"], shown["logger"]) == ("warning", "local.worker")
    assert shown["at"].endswith("+00:00")


def test_an_unknown_error_shows_type_and_place_only() -> None:
    """The text of an exception that we do not know is not shown: it may hold anything."""
    try:
        int(CANARY)
    except ValueError as error:
        shown = line("a message failed", error=error)
    assert shown["error"] == "ValueError"
    assert shown["place"].startswith(f"{__name__}:")
    assert CANARY not in json.dumps(shown)


@pytest.mark.parametrize("text", [CANARY, "4111111111111111"])
def test_what_looks_like_an_account_or_a_card_is_masked(text: str) -> None:
    """A last guard for what should never have been said."""
    assert text not in json.dumps(line("payment to %s failed", text))


def test_a_line_that_cannot_be_made_shows_no_argument(pytestconfig: pytest.Config) -> None:
    """A log call whose arguments do not fit its text is a line all the same, without the arguments."""
    code = (
        "import logging; from runtime.logging import configure_logging\n"
        f"configure_logging(); logging.getLogger('x').warning('%d payments', {CANARY!r})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=pytestconfig.rootpath, capture_output=True, text=True, timeout=60, check=True)
    assert CANARY not in done.stderr
    assert json.loads(done.stderr)["level"] == "warning"


def test_other_libraries_speak_from_warnings_on(pytestconfig: pytest.Config) -> None:
    """The chatter of drivers and vendors' packages stays out of the log; it may name keys and hosts."""
    code = (
        "import logging; from runtime.logging import configure_logging; configure_logging()\n"
        "for name in ('paramiko.transport', 'botocore', 'alembic.runtime', 'tieout'): logging.getLogger(name).info(name)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=pytestconfig.rootpath, capture_output=True, text=True, timeout=60, check=True)
    assert [json.loads(each)["message"] for each in done.stderr.splitlines()] == ["tieout"]
