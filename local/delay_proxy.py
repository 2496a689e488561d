"""A TCP proxy on 127.0.0.1 that makes the way to a server longer: every byte arrives half a round trip later, both ways.

Bandwidth is not limited, and order is kept. Prints its port and serves until its standard input ends.

python -m local.delay_proxy --port 22 --rtt-ms 40
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import sys

PIECE_BYTES = 1 << 18
WAITING_MAX = 4096  # pieces on their way in one direction

Piece = tuple[float, bytes]


async def serve(port: int, rtt_s: float) -> None:
    """Every connection to our port goes on to `port` of 127.0.0.1."""

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            for each in (writer, far_writer):
                each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.gather(
                delayed(reader, far_writer, rtt_s / 2), delayed(far_reader, writer, rtt_s / 2), return_exceptions=True
            )

    server = await asyncio.start_server(joined, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


async def delayed(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay_s: float) -> None:
    """One direction."""
    way: asyncio.Queue[Piece] = asyncio.Queue(WAITING_MAX)
    loop = asyncio.get_running_loop()

    async def arrive() -> None:
        while True:
            due, piece = await way.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not piece:
                break
            target.write(piece)
            await target.drain()
        target.close()

    arriving = asyncio.create_task(arrive())
    with contextlib.suppress(OSError):
        while piece := await source.read(PIECE_BYTES):
            await way.put((loop.time() + delay_s, piece))
    await way.put((loop.time() + delay_s, b""))
    with contextlib.suppress(OSError):
        await arriving


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rtt-ms", type=float, required=True)
    args = parser.parse_args()
    asyncio.run(serve(args.port, args.rtt_ms / 1000))
    return 0


if __name__ == "__main__":
    sys.exit(main())
