"""Collect: brings result files from the acquirer's outbox into results, raw bytes only, each content once.

A poll first commits which names it will fetch, so that reconcile waits for all of them; then it fetches one by one.
"""

from __future__ import annotations

import logging

from payments.errors import Busy, HostKeyRefused, TieoutError, TryAgain, Unreachable, WrongConfiguration
from payments.leasing import TTL, kept
from payments.ports import Lease, RemoteDrop
from transfer.after_reading import put_away
from transfer.collect_fetch import fetch
from transfer.collect_once import fetch_once, go_on
from transfer.collect_ports import CollectPorts
from transfer.collect_sighting import complete_sets, explain, sight

__all__ = ["CollectPorts", "collect", "collect_or_wait"]
log = logging.getLogger(__name__)


def collect_or_wait(ports: CollectPorts) -> int:
    """One poll. An outbox that cannot be looked at is looked at again at the next one: that is the schedule's business.

    A queue that tried every missed poll again would hold as many messages as the acquirer was away for minutes.
    """
    try:
        return collect(ports)
    except (TryAgain, HostKeyRefused, WrongConfiguration) as error:
        log.warning(
            "acquirer %s: its outbox waits for the next poll: %s: %s. %s",
            ports.acquirer.name,
            type(error).__name__,
            error,
            error.next_step,
        )
        return 0


def collect(ports: CollectPorts) -> int:
    """One poll. Returns how many new result files were stored. Raises Unreachable; Busy when another poll is under way."""
    lease = ports.ledger.leases.acquire(f"collect:{ports.acquirer.name}", ttl=TTL)
    if lease is None:
        raise Busy(f"acquirer {ports.acquirer.name}: another poll of its outbox is under way")
    try:
        with kept(ports.ledger.leases, lease):
            stored = go_on(ports)
            with ports.connect() as drop:
                return stored + _poll(ports, drop, lease)
    finally:
        ports.ledger.leases.release(lease)


def _poll(ports: CollectPorts, drop: RemoteDrop, lease: Lease) -> int:
    listing = {each.name: each for each in drop.listing(ports.acquirer.drop.outbox)}
    with ports.ledger.begin() as tx:
        for each in listing.values():
            sight(tx, ports, each, listing)
        explain(tx, ports, listing)
        fetching = tx.sightings.find(acquirer=ports.acquirer.name, state="fetching")
    bring = fetch_once if ports.acquirer.results.read_once else fetch
    stored = 0
    for sighting in fetching:
        ports.ledger.leases.renew(lease, ttl=TTL)
        try:
            stored += bring(ports, drop, sighting, listing.get(sighting.name))
        except Unreachable:
            raise
        except TieoutError as error:  # one bad file never stops its neighbours
            log.warning("result file %a of %s: %s", sighting.name, ports.acquirer.name, error)
            with ports.ledger.begin() as tx:
                tx.sightings.change(sighting, state="failed")
    with ports.ledger.begin() as tx:
        complete_sets(tx, ports, listing)
    ports.ledger.leases.renew(lease, ttl=TTL)
    put_away(ports, drop, listing)
    return stored
