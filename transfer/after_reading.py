"""Puts away in the outbox what was collected, where the acquirer asks us to: deletes it, or moves it to an archive.

The bytes are in the store and in the ledger before. Only the version that was read is touched: size and time are compared
once more just before. Whatever stops us between two steps, the next poll does them again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from payments.errors import TargetExists, TieoutError, Unreachable
from payments.keys import day_chain
from payments.markers import SAID, named_by
from payments.ports import Transaction
from payments.records import Sighting
from payments.remote_ports import RemoteDrop, RemoteFile
from transfer.business_day import business_date
from transfer.collect_ports import CollectPorts
from transfer.collect_sighting import PUT_AWAY

log = logging.getLogger(__name__)
SHORT_HASH = 12


def put_away(ports: CollectPorts, drop: RemoteDrop, listing: Mapping[str, RemoteFile]) -> None:
    """Every collected file of this listing. What the server refuses is tried again at the next poll. Raises Unreachable."""
    if ports.acquirer.results.after == "leave":
        return
    with ports.ledger.begin() as tx:
        done = tx.sightings.find(acquirer=ports.acquirer.name, state="collected")
        for each in done:
            if each.name not in listing:
                tx.sightings.change(each, state="gone")
    _each(ports, drop, [each for each in done if each.name in listing])
    # A marker goes behind what it stands for: without it a file that could not be put away yet would look unfinished.
    with ports.ledger.begin() as tx:
        markers = tx.sightings.find(acquirer=ports.acquirer.name, state=("marker", *SAID))
        served = [each for each in markers if each.name in listing and _has_served(tx, ports, each)]
    _each(ports, drop, served)


def _each(ports: CollectPorts, drop: RemoteDrop, sightings: Iterable[Sighting]) -> None:
    for sighting in sightings:
        try:
            _put_away(ports, drop, sighting)
        except Unreachable:
            raise
        except TieoutError as error:
            log.warning("outbox of %s: %a stays: %s", ports.acquirer.name, sighting.name, error)


def _has_served(tx: Transaction, ports: CollectPorts, marker: Sighting) -> bool:
    """Whether the ledger knows what the marker said: the set is complete, or the result is stored and put away."""
    result = tx.sightings.get(ports.acquirer.name, named_by(ports.acquirer, marker.name))
    return marker.state in SAID or (result is not None and result.state in PUT_AWAY)


def _put_away(ports: CollectPorts, drop: RemoteDrop, sighting: Sighting) -> None:
    path = f"{ports.acquirer.drop.outbox}/{sighting.name}"
    now = drop.stat(path)
    if now is None or (now.size, now.modified_s) != (sighting.size, sighting.modified_s):
        return  # a new version, or none: the next listing tells
    if ports.acquirer.results.after == "delete":
        drop.remove(path)
        _record(ports, sighting, "removed", "")
    else:
        _record(ports, sighting, "moved", _move(ports, drop, sighting, path))


def _move(ports: CollectPorts, drop: RemoteDrop, sighting: Sighting, path: str) -> str:
    """Under its own name, else with its hash, else with its time too: nothing in an archive is replaced."""
    short = sighting.sha256[:SHORT_HASH] or "marker"
    for name in (sighting.name, f"{sighting.name}.{short}", f"{sighting.name}.{short}.{sighting.modified_s}"):
        target = f"{ports.acquirer.results.archive}/{name}"
        if drop.stat(target) is None:
            drop.rename(path, target)
            return name
    raise TargetExists(f"the archive of {ports.acquirer.name} holds every name that {sighting.name!a} could take")


def _record(ports: CollectPorts, sighting: Sighting, state: str, name: str) -> None:
    acquirer = ports.acquirer.name
    day = business_date(ports.acquirer, ports.clock.now())
    with ports.ledger.begin() as tx:
        if sighting.state == "collected":
            tx.sightings.change(sighting, state=state)
        body = {"name": sighting.name, "sha256": sighting.sha256, "as": name}
        tx.audit.append(day_chain(acquirer, day), f"result_{state}", body)
