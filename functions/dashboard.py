"""Answers CloudFront with the pages of the dashboard, to people who signed in. Without settings of a sign-in: to nobody."""

from __future__ import annotations

import os
from typing import Any

from functions.asgi import App, answered, refusal
from functions.batch import failures_said, watch, world
from payments.errors import TieoutError
from runtime.wakes import wake

_opened: list[tuple[App, str]] = []
"""The application and the name that people type; once per process, as soon as everything that it needs was there."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one request of the function URL."""
    with watch()(wake("dashboard")):
        try:
            with failures_said():
                app, public = opened()
        except TieoutError:
            return refusal(503, "The dashboard cannot be opened now; its log says why.")
        return answered(app, event, public=public)


def opened() -> tuple[App, str]:
    """Raises WrongConfiguration where nobody could sign in."""
    if not _opened:
        from dashboard.app import create_app
        from dashboard.sign_in import VARIABLE, sign_in_of

        settings = sign_in_of(world().secrets, os.environ.get(VARIABLE, ""))
        _opened.append((create_app(world(), settings), settings.host))
    return _opened[0]
