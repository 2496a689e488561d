"""tieout run: the service on this machine, with its schedules, workers and page, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import signal

HELP = "the service on this machine: schedules, workers, dashboard"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-page", action="store_true", help="do not serve the page")


def run(args: argparse.Namespace) -> int:
    from local.page import Announcement
    from local.router import local_world
    from local.service import Service
    from runtime.logging import configure_logging

    configure_logging()
    world = local_world(args.config)
    world.store  # noqa: B018  (a wrong store or ledger is said now, before anything starts)
    world.check_secrets()
    world.ledger  # noqa: B018
    service = Service(world, page=not args.no_page)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.stop())
    announcement = Announcement(world.settings.base, lambda text: print(text, flush=True))
    service.run(announcement.look if not args.no_page else lambda: None, stay=True)
    return 0
