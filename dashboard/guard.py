"""Guards every answer of the page: strict headers, and no answer to a request for somebody else's host name.

On one machine the page asks nobody who they are: whoever reaches it may read it. So a web site must not reach it through
a visitor's browser (DNS rebinding): as long as the page is bound to this machine only, only its own names are answered.
Where people sign in it has one public name, and answers to no other.
"""

from __future__ import annotations

from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    # Pico draws its form controls with images inside the style sheet, hence data: for images and for nothing else.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'none'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """ASGI middleware. `host` is the address that the page is bound to, `public` the name that people type, if they sign in."""

    def __init__(self, app: ASGIApp, host: str, public: str = "") -> None:
        self._app = app
        self._names = LOOPBACK_NAMES | {host} if is_loopback(host) else None
        if public:
            self._names = frozenset({public})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if self._names is not None and host_of(Headers(scope=scope).get("host", "")) not in self._names:
            refusal = PlainTextResponse("this page answers to its own name only\n", status_code=421)
            await refusal(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)


def host_of(header: str) -> str:
    """The name without its port: `[::1]:8470` is ::1."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only; an unknown name counts as reachable from elsewhere."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
