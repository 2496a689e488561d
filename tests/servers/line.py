"""A TCP line between a client and a server of this machine, which is cut or goes silent after so many bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

PATIENCE_S = 15.0


class Line:
    """A context: connect to `port`. After `bytes_max` bytes from the client it is cut, or else passes nothing more on."""

    def __init__(self, port: int, bytes_max: int, *, cut: bool) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._target = port
        self._bytes_max = bytes_max
        self.passed = 0
        self._cut = cut
        self._over = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in [self._listener, *self._sockets]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _serve(self) -> None:
        with suppress(OSError):
            ours, _ = self._listener.accept()
            theirs = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [ours, theirs]
            back = threading.Thread(target=self._pump, args=(theirs, ours, lambda _size: True), daemon=True)
            self._threads.append(back)
            back.start()
            self._pump(ours, theirs, self._counted)

    def _counted(self, size: int) -> bool:
        self.passed += size
        return self.passed <= self._bytes_max

    def _pump(self, source: socket.socket, target: socket.socket, goes_on: Callable[[int], bool]) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if not goes_on(len(data)):
                    break
                target.sendall(data)
            else:
                target.shutdown(socket.SHUT_WR)
                return
            if self._cut:
                for each in self._sockets:
                    each.shutdown(socket.SHUT_RDWR)
            else:
                self._over.wait(PATIENCE_S)
