"""tieout config check: whether the configuration can be worked with, before anything starts."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tieout.arguments import CONFIG_HELP

if TYPE_CHECKING:
    from payments.config import AcquirerSection, Route, SourceSection
    from runtime.wiring import World

HELP = "check the configuration"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="read the file, fetch the secrets, reach the ledger")
    check.add_argument("--config", default=argparse.SUPPRESS, help=CONFIG_HELP)
    check.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from runtime.wiring import World
    from tieout.show import print_json
    from transfer.file_names import file_name

    world = World.open(args.config)
    world.store  # noqa: B018  (its URL is checked, before a ledger is made)
    found = world.configuration
    secrets = world.check_secrets()
    world.ledger  # noqa: B018  (it is reached, and its tables are made or upgraded)
    for source in found.source:
        _check_source(source)
        _check_routes(source, found.curation.route)
    for acquirer in found.acquirer:
        file_name(acquirer, world.clock.now().date(), 1, 1)
        _check_keys(world, acquirer)
    warnings = [text for each in found.acquirer for text in (*_expiring_keys(world, each), *_repeated_names(each))]
    facts = {
        "configuration": world.settings.path,
        "config_hash": world.settings.config_hash,
        "sources": [each.name for each in found.source],
        "acquirers": [each.name for each in found.acquirer],
        "secrets": secrets,
        "warnings": warnings,
    }
    if args.json:
        print_json(facts)
    else:
        print("\n".join(f"{name}: {value}" for name, value in facts.items()) + "\nThe configuration is sound.")
    return 0


def _check_source(source: SourceSection) -> None:
    """What would set every row aside, or stop every extraction, with the first one. Raises WrongConfiguration."""
    from datetime import date, datetime

    from extractors.postgres_session import connection_uri
    from payments.currencies import MINOR_UNITS
    from payments.errors import WrongConfiguration

    if not source.url.startswith("sqlite:"):
        connection_uri(source, None)
    sample = date(2026, 3, 2)
    try:
        read = datetime.strptime(sample.strftime(source.date_format), source.date_format).date()  # noqa: DTZ007  (a date)
    except ValueError:
        read = None
    if read != sample:
        raise WrongConfiguration(
            f"source {source.name}: date_format {source.date_format!a} is not that of a date",
            next_step="Write it like %Y-%m-%d or %d.%m.%Y.",
        )
    for column, known, what, step in (
        ("currency", set(MINOR_UNITS), "no currency of ISO 4217", "Give codes like EUR."),
        (
            "direction",
            {"CRDT", "DBIT"},
            "no direction",
            "Give CRDT for what is paid out and DBIT for what is drawn in.",
        ),
    ):
        codes = {*source.values.get(column, {}).values(), *filter(None, [source.constants.get(column)])}
        if strange := sorted(codes - known):
            raise WrongConfiguration(
                f"source {source.name}: values.{column} or constants.{column} names {strange[0]!a}, which is {what}",
                next_step=step,
            )


def _check_routes(source: SourceSection, routes: list[Route]) -> None:
    """Rows that no route can take would wait, chunk by chunk, until their messages are given up. Raises WrongConfiguration."""
    from payments.errors import WrongConfiguration

    if not any(not route.source or source.name in route.source for route in routes):
        raise WrongConfiguration(
            f"source {source.name}: no [[curation.route]] takes its payments to an acquirer",
            next_step="Add one; a route without conditions takes all.",
        )


def _check_keys(world: World, acquirer: AcquirerSection) -> None:
    """Keys that no connection could use. Raises WrongConfiguration, saying whose and which."""
    from payments.errors import WrongConfiguration
    from transfer.sftp_connect import read_secrets
    from transfer.sftp_login import fetched

    if acquirer.sftp is None:
        return
    try:
        read_secrets(acquirer.sftp, *fetched(acquirer.sftp, world.secrets))
    except WrongConfiguration as error:
        given = ", ".join(acquirer.sftp.secrets)
        raise WrongConfiguration(
            f"acquirer {acquirer.name}: {error} (its secrets: {given})", next_step=error.next_step
        ) from error


def _expiring_keys(world: World, acquirer: AcquirerSection) -> list[str]:
    """What to say of OpenPGP keys that end soon; each is looked at, so that a secret that holds none is found now."""
    if acquirer.encode.pgp is None and acquirer.results.pgp is None:
        return []
    from runtime.key_watch import look_at_keys
    from transfer.pgp import expiring

    keys = list(dict.fromkeys(look_at_keys(world, acquirer).values()))
    return expiring(acquirer.name, keys, world.clock.now(), acquirer.keys_warn_days)


def _repeated_names(acquirer: AcquirerSection) -> list[str]:
    """Some acquirers fix one name for all files; anybody else may take the second file for the first."""
    from datetime import date

    from transfer.file_names import file_name

    day = date(2026, 3, 2)
    if file_name(acquirer, day, 1, 1) != file_name(acquirer, day, 2, 1):
        return []
    return [f"acquirer {acquirer.name}: file_name has no {{sequence}}: all files of a day have the same name"]
