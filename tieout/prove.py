"""tieout prove: recomputes counts, sums and hashes of a run, a file or a day from stored bytes: the certificate."""

from __future__ import annotations

import argparse
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from reconciliation.certificate import Certificate, Check

HELP = "recompute a run, a file or a day from stored bytes: the tie-out certificate"
SHOWN_MAX = 400
TEXT_MAX = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="RUN|FILE|DATE", help="legacy/000001, a file's name or file_id, or 2026-03-02")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from reconciliation.prove import ProvePorts, prove
    from runtime.ledger.audit import audit_records, faults
    from runtime.wiring import World
    from tieout.show import print_json

    world = World.open(args.config)
    ports = ProvePorts(world.ledger, world.store, world.configuration, world.secrets)
    certificate, subjects = prove(ports, args.name)
    with world.ledger.look() as tx:
        for chain in subjects.chains:
            certificate.same(
                f"audit {chain}", "faults among its records", [], list(faults(audit_records(tx.connection, chain)))
            )
    now = world.clock.now()
    if args.json:
        shown = certificate.to_json()
        print_json({**shown, "config_hash": world.settings.config_hash, "proved_at": now.isoformat()})
    else:
        print(report(certificate, world.settings.config_hash, now))
    return 0 if certificate.ties else 1


def report(certificate: Certificate, config_hash: str, now: datetime) -> str:
    """The certificate for people: every check in order, what does not hold once more at the end."""
    from tieout.show import clean

    parts = [f"Tie-out certificate of {certificate.subject}, {now:%Y-%m-%d %H:%M:%S} UTC"]
    for subject, checks in groupby(certificate.checks[:SHOWN_MAX], key=lambda check: check.subject):
        lines = (f"  {_mark(check)} {check.what}: {short(check.found)}" for check in checks)
        parts.append("\n".join(clean(line) for line in [subject, *lines]))
    if len(certificate.checks) > SHOWN_MAX:
        parts.append(f"{len(certificate.checks) - SHOWN_MAX:,} more checks: --json shows all")
    configs = sorted(set(certificate.configs.values()))
    parts.append(
        "\n".join(f"configuration {each}{' (the one of now)' if each == config_hash else ''}" for each in configs)
    )
    parts += ["\n".join(map(_failure, certificate.failed[:SHOWN_MAX]))] if certificate.failed else []
    counted = f"{len(certificate.checks):,} checks over {certificate.objects:,} objects, {certificate.size:,} bytes"
    verdict = _verdict(certificate)
    return "\n\n".join(part for part in [*parts, f"{counted}; {verdict}"] if part)


def _mark(check: Check) -> str:
    if not check.proven:
        return "..."
    return "ok " if check.holds else "OFF"


def _verdict(certificate: Certificate) -> str:
    """Three: it ties, it does not, or nobody can say: any more, because something expired, or yet, as something is in flight."""
    if certificate.ties:
        return "all hold: it ties."
    if certificate.failed or not certificate.unproven:
        return f"{len(certificate.failed):,} do not hold: IT DOES NOT TIE."
    waiting = sum(check.in_flight for check in certificate.unproven)
    gone = len(certificate.unproven) - waiting
    counts = [f"{gone:,} cannot be computed any more"] if gone else []
    counts += [f"{waiting:,} cannot hold yet"] if waiting else []
    said = [f"{', '.join(counts)}, the others hold: NOT CERTIFIED."]
    said += ["Prove it again when nothing of it is in flight."] if waiting else []
    if certificate.expired:
        first, last = min(certificate.expired.values()), max(certificate.expired.values())
        expired = f"{len(certificate.expired):,} objects expired by lifecycle rules"
        said.append(f"{expired}, {first:%Y-%m-%d} to {last:%Y-%m-%d}.")
    return " ".join(said)


def _failure(check: Check) -> str:
    from tieout.show import clean

    return clean(f"OFF {check.subject}: {check.what}: expected {short(check.expected)}, found {short(check.found)}")


def short(value: Any) -> str:
    """A value of a check in few characters: a total by count and sums, a hash by its beginning."""
    from tieout.show import sums

    match value:
        case {"count": count, "amount_minor": amounts, "unreadable": unreadable, "digest": digest}:
            if not count:
                return "0"
            beside = f", {unreadable:,} unreadable" if unreadable else ""
            return f"{count:,} ({sums(amounts)}{beside}) #{digest[0][:8]}"
        case dict():
            return sums(value)
        case str() if len(value) == 64 and " " not in value:
            return value[:16]
        case []:
            return "none"
        case _:
            return str(value)[:TEXT_MAX]
