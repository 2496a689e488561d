"""Serves the page: `python -m dashboard.serve --config FILE --parent PID`, a child of the service on one machine."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys

from dashboard.address import forget, publish
from payments.errors import TieoutError
from runtime.processes import die_with_parent
from runtime.wiring import World

log = logging.getLogger(__name__)

BACKLOG = 64
CONNECTIONS_MAX = 64
KEEP_ALIVE_S = 5
STOP_S_MAX = 2


def main() -> int:
    """Returns the exit status: 1 when the page cannot be served, said once in the log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config")
    parser.add_argument("--parent", type=int, required=True)
    args = parser.parse_args()
    if not die_with_parent(args.parent):
        return 1
    from runtime.logging import configure_logging

    configure_logging()
    try:
        serve(World.open(args.config))
    except TieoutError as error:
        log.critical("the page ends: %s %s", error, error.next_step)
        return 1
    except OSError as error:
        log.critical("the page cannot be served: %s", error)
        return 1
    return 0


def serve(world: World) -> None:
    """Until SIGTERM or SIGINT. Raises OSError, naming the address, when it is taken or not of this machine."""
    import uvicorn

    from dashboard.app import create_app

    app = create_app(world)
    section, base = world.configuration.dashboard, world.settings.base
    # The server ends in order at SIGTERM, then raises it once more: here it must not kill us. Ctrl-C is for the service.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with bound(section.host, section.port) as listener:
        publish(base, section.host, listener.getsockname()[1])
        try:
            settings = uvicorn.Config(
                app,
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                ws="none",
                limit_concurrency=CONNECTIONS_MAX,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=STOP_S_MAX,
            )
            uvicorn.Server(settings).run(sockets=[listener])
        finally:
            forget(base)


def bound(host: str, port: int) -> socket.socket:
    """A listening socket. Bound here, not by the server: so that a taken port has one clear message."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not an address"
        raise OSError(
            f"dashboard.host and dashboard.port: {host}:{port}: {reason}. Choose another port, or 0 for any free one."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
