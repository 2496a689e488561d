"""Lets a web application answer a call of a Lambda function URL (payload format 2.0, AWS Lambda Developer Guide)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any
from urllib.parse import unquote

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Coroutine[Any, Any, None]
]
"""An application as servers of Python call it (ASGI 3.0)."""

log = logging.getLogger(__name__)

ANSWER_BYTES_MAX = 4_000_000
"""Lambda takes an answer of 6 MB, in which text that is not plain takes a third more."""
PLAIN_BYTES_MAX = 900_000
"""As a text within JSON any byte may take six; beyond this all is packed, and takes a third more whatever it is."""
SERVER_ERROR = 500


def answered(app: App, event: dict[str, Any], *, public: str) -> dict[str, Any]:
    """What `app` answers to the request in `event`. `public` is the name that people type."""
    answer = _Answer(_body_of(event))
    try:
        asyncio.run(app(_scope_of(event, public), answer.receive, answer.send))
    except Exception:
        # Whatever the application let through, after it answered or before: the caller gets an answer, the log its place.
        log.exception("a page failed for a reason that is not known here")
    return answer.to_lambda()


def refusal(status: int, text: str) -> dict[str, Any]:
    """An answer without any application."""
    headers = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "cookies": [], "body": f"{text}\n", "isBase64Encoded": False}


class _Answer:
    """Collects what the application sends; its request is one message, then the client is silent."""

    def __init__(self, body: bytes) -> None:
        self._request: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._status = SERVER_ERROR
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []

    async def receive(self) -> Message:
        if self._request:
            return self._request.pop()
        await asyncio.Event().wait()
        raise AssertionError("a caller of Lambda never hangs up")

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            self._parts.append(message.get("body", b""))

    def to_lambda(self) -> dict[str, Any]:
        body = b"".join(self._parts)
        if not self._headers:
            return refusal(SERVER_ERROR, "this page could not be made")
        if len(body) > ANSWER_BYTES_MAX:
            return refusal(SERVER_ERROR, "this page is too large")
        cookies: list[str] = []
        headers: dict[str, str] = {}
        for name, value in ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in self._headers):
            if name == "set-cookie":
                cookies.append(value)
            else:
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        text, is_binary = _text_of(body)
        return {
            "statusCode": self._status,
            "headers": headers,
            "cookies": cookies,
            "body": text,
            "isBase64Encoded": is_binary,
        }


def _text_of(body: bytes) -> tuple[str, bool]:
    """As JSON can hold it, and whether it is packed."""
    if len(body) <= PLAIN_BYTES_MAX:
        with contextlib.suppress(UnicodeDecodeError):
            return body.decode(), False
    return base64.b64encode(body).decode(), True


def _scope_of(event: dict[str, Any], public: str) -> Message:
    context, headers = event["requestContext"], {name.lower(): value for name, value in event["headers"].items()}
    # CloudFront asks for the function's own name, whatever people typed; any other name stays what it is.
    host = headers.get("host", "")
    headers["host"] = public if host == context["domainName"] else host
    if event.get("cookies"):
        headers["cookie"] = "; ".join(event["cookies"])
    path = event["rawPath"]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": context["http"]["method"],
        "scheme": "https",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": event.get("rawQueryString", "").encode(),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()],
        "client": (context["http"].get("sourceIp", ""), 0),
        "server": (public, 443),
    }


def _body_of(event: dict[str, Any]) -> bytes:
    body = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
