"""tieout config check: whether the configuration can be worked with, before anything starts."""

from __future__ import annotations

import argparse

HELP = "check the configuration"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="read the file, fetch the secrets, reach the ledger")
    check.add_argument("--config", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    check.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from runtime.wiring import World
    from tieout.show import print_json
    from transfer.file_names import file_name

    world = World.open(args.config)
    world.store  # noqa: B018  (its URL is checked, before a ledger is made)
    found = world.configuration
    references = [found.ledger.password, *(each.password for each in found.source)]
    references += [text for each in found.acquirer for text in (each.sftp.key, each.sftp.password)]
    for reference in filter(None, references):
        world.secrets.get(reference)
    world.ledger  # noqa: B018  (it is reached, and its tables are made or upgraded)
    for acquirer in found.acquirer:
        file_name(acquirer, world.clock.now().date(), 1, 1)
    facts = {
        "configuration": world.settings.path,
        "config_hash": world.settings.config_hash,
        "sources": [each.name for each in found.source],
        "acquirers": [each.name for each in found.acquirer],
        "secrets": len(list(filter(None, references))),
    }
    if args.json:
        print_json(facts)
    else:
        print("\n".join(f"{name}: {value}" for name, value in facts.items()) + "\nThe configuration is sound.")
    return 0
