"""Builds the page in a bare interpreter and asks for one path, without a server: `bare_page.py PATH`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from dashboard.app import create_app
from runtime.wiring import World


async def asked(path: str) -> tuple[int, int]:
    """(status, bytes) of the answer, by the interface that servers of Python speak (ASGI)."""
    sent: list[dict[str, Any]] = []
    said = False

    async def receive() -> dict[str, Any]:
        nonlocal said
        if said:
            await asyncio.Event().wait()  # the client stays, and says nothing more
        said = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await create_app(World.open())(scope, receive, send)
    return sent[0]["status"], sum(len(each.get("body", b"")) for each in sent[1:])


def main() -> None:
    status, size = asyncio.run(asked(sys.argv[1]))
    loaded = sorted({each.partition(".")[0] for each in sys.modules})
    print(json.dumps({"status": status, "bytes": size, "packages": loaded}))


if __name__ == "__main__":
    main()
