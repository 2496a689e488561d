"""Stands between sshd and its sftp-server: one request is carried out, and its answer never goes back.

    lost_reply.py SFTP_SERVER START_DIRECTORY MARKER REQUEST dies|silent

Started by ForceCommand, once per session. REQUEST is the first of its kind, by a name of REQUESTS. Then the link dies, or it
stays open and nothing comes any more. MARKER is made when it happens; while it exists, everything passes. Standard library
only: sshd starts it without the environment of the tests.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

REQUESTS = {"open": 3, "close": 4, "write": 6, "rename": 18}
EXTENDED = 200
POSIX_RENAME = b"posix-rename@openssh.com"
WITHOUT_NUMBER = {1, 2}  # INIT and VERSION carry a version where other packets carry their number


def packets(stream: IO[bytes]) -> Iterator[bytes]:
    """Whole packets of the file transfer protocol, each with its length in front."""
    while len(head := stream.read(4)) == 4:
        yield head + stream.read(int.from_bytes(head, "big"))


def number_of(packet: bytes) -> bytes:
    return b"" if packet[4] in WITHOUT_NUMBER else packet[5:9]


def is_meant(packet: bytes, request: str) -> bool:
    other_rename = request == "rename" and packet[4] == EXTENDED and packet[13:].startswith(POSIX_RENAME)
    return packet[4] == REQUESTS[request] or other_rename


def main() -> None:
    server, start, place, request, how = sys.argv[1:]
    marker = Path(place)
    child = subprocess.Popen([server, "-d", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    requests, answers = child.stdin, child.stdout
    doomed: set[bytes] = set()

    def ask() -> None:
        for packet in packets(sys.stdin.buffer):
            if is_meant(packet, request) and not marker.exists():
                doomed.add(number_of(packet))
            requests.write(packet)
            requests.flush()
        requests.close()

    threading.Thread(target=ask, daemon=True).start()
    for packet in packets(answers):
        if number_of(packet) in doomed:
            marker.touch()
            if how == "dies":
                child.kill()
                # Our parent is the server of this session alone: with it the connection is gone, without a word.
                os.kill(os.getppid(), signal.SIGKILL)
                return
            break
        sys.stdout.buffer.write(packet)
        sys.stdout.buffer.flush()
    for _ in packets(answers):
        pass  # a server that waits for room would not see that the link ends
    child.wait()


if __name__ == "__main__":
    main()
