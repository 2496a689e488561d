"""Talks with a proxy in exact pieces: not a byte more than is asked for, and one limit of time for all of it."""

from __future__ import annotations

import socket
import time


class Slowly:
    """A socket on which SSH has not begun. What is not taken stays in it."""

    def __init__(self, plug: socket.socket, limit_s: float) -> None:
        self._plug = plug
        self._until = time.monotonic() + limit_s

    def send(self, data: bytes) -> None:
        """Raises OSError."""
        self._plug.sendall(data)

    def take(self, size: int) -> bytes:
        """Exactly so many bytes. Raises EOFError when fewer come, TimeoutError, OSError."""
        taken = b""
        while len(taken) < size:
            if time.monotonic() > self._until:
                raise TimeoutError
            more = self._plug.recv(size - len(taken))
            if not more:
                raise EOFError
            taken += more
        return taken
