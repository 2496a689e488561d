"""Stands where Lambda's X-Ray daemon is, and keeps every segment document that it is sent."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

DATAGRAM_MAX = 65_536
LOOK_S = 0.2


@dataclass
class TraceDaemon:
    """`documents` in the order in which they came; `address` as `AWS_XRAY_DAEMON_ADDRESS` gives it to functions."""

    address: str
    documents: list[dict[str, Any]] = field(default_factory=list)


@contextlib.contextmanager
def trace_daemon() -> Iterator[TraceDaemon]:
    """Listens on a free port of 127.0.0.1 until the end."""
    ended = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(LOOK_S)
        found = TraceDaemon(f"127.0.0.1:{listener.getsockname()[1]}")

        def listen() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    header, _, body = listener.recv(DATAGRAM_MAX).partition(b"\n")
                    assert json.loads(header) == {"format": "json", "version": 1}
                    found.documents.append(json.loads(body))

        thread = threading.Thread(target=listen, name="trace daemon", daemon=True)
        thread.start()
        try:
            yield found
        finally:
            ended.set()
            thread.join()
