"""Collect: brings result files from the acquirer's outbox into results, raw bytes only, each content once.

A poll first commits which names it will fetch, so that reconcile waits for all of them; then it fetches one by one. A file
that cannot be fetched is tried again behind all others, and reconcile goes on without it.
"""

from __future__ import annotations

import logging

from payments.contacts import REASON_LENGTH_MAX, noted, of_outbox
from payments.errors import Busy, HostKeyRefused, TieoutError, TryAgain, Unreachable, WrongConfiguration
from payments.leasing import TTL, kept
from payments.ports import Lease
from payments.records import Sighting
from payments.remote_ports import RemoteDrop
from payments.schedules import poll_at_once
from transfer.after_reading import put_away
from transfer.collect_alarms import fetch_broke
from transfer.collect_fetch import fetch
from transfer.collect_listing import take_down
from transfer.collect_once import fetch_once, go_on
from transfer.collect_ports import CollectPorts
from transfer.collect_sighting import complete_sets

__all__ = ["CollectPorts", "collect", "collect_or_wait"]
log = logging.getLogger(__name__)


def collect_or_wait(ports: CollectPorts) -> int:
    """One poll. An outbox that cannot be looked at is looked at again at the next one: that is the schedule's business.

    A queue that tried every missed poll again would hold as many messages as the acquirer was away for minutes.
    """
    try:
        with noted(ports.ledger, ports.clock, of_outbox(ports.acquirer.name)):
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
    listed = {each.name: each for each in drop.listing(ports.acquirer.drop.outbox)}
    take_down(ports, listed, lambda: ports.ledger.leases.renew(lease, ttl=TTL))
    listing = {name: each for name, each in listed.items() if each.plain}
    bring = fetch_once if ports.acquirer.results.read_once else fetch
    stored = 0
    for sighting in _to_fetch(ports):
        if not ports.may_begin():
            # What is left stays announced as on its way, so that reconcile waits for it.
            with ports.ledger.begin() as tx:
                poll_at_once(tx, ports.acquirer, ports.clock.now())
            return stored
        ports.ledger.leases.renew(lease, ttl=TTL)
        try:
            stored += bring(ports, drop, sighting, listing.get(sighting.name))
        except TieoutError as error:  # one bad file never stops its neighbours
            _put_last(ports, sighting, error)
            if isinstance(error, Unreachable):
                raise  # this session is over; the next one begins with the others
    with ports.ledger.begin() as tx:
        complete_sets(tx, ports, listing)
    ports.ledger.leases.renew(lease, ttl=TTL)
    put_away(ports, drop, listing)
    return stored


def _to_fetch(ports: CollectPorts) -> list[Sighting]:
    """Those that failed come last, the most often tried at the very end: the server may hang up on one of them each time."""
    with ports.ledger.look() as tx:
        fetching = tx.sightings.find(acquirer=ports.acquirer.name, state="fetching")
        failed = tx.sightings.find(acquirer=ports.acquirer.name, state="failed")
    return [*fetching, *sorted(failed, key=lambda each: each.revision)]


def _put_last(ports: CollectPorts, sighting: Sighting, error: TieoutError) -> None:
    """Reconcile waits for no file that failed, so that a second time a person must know of it."""
    log.warning("result file %a of %s: %s", sighting.name, ports.acquirer.name, error)
    with ports.ledger.begin() as tx:
        if sighting.state == "failed":
            fetch_broke(
                tx, ports, sighting.name, f"it could not be fetched, time and again: {error}"[:REASON_LENGTH_MAX]
            )
        tx.sightings.change(sighting, state="failed")
