"""Takes down what a listing shows: the names that bring nothing new are found without a lock, the others written in parts.

A listing may have 100,000 names, and whoever holds the ledger's write lock keeps deliveries and leases waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from payments.ports import Transaction
from payments.remote_ports import RemoteFile
from transfer.collect_alarms import name_explained
from transfer.collect_ports import CollectPorts
from transfer.collect_sighting import explained, news, sight

T = TypeVar("T")
WRITTEN_TOGETHER = 100
READ_TOGETHER = 500
REST_S = 0.1
"""Between two parts: SQLite lets in those who wait only when nobody asks for the lock for a tenth of a second."""


def take_down(ports: CollectPorts, listing: Mapping[str, RemoteFile], renew: Callable[[], None]) -> None:
    """Commit what is new about each name. `renew` keeps the lease; raises what it raises."""
    with ports.ledger.look() as tx:
        fresh = list(_fresh(tx, ports, listing))
        known_by_now = explained(tx, ports, listing)

    def write(part: Sequence[RemoteFile]) -> None:
        with ports.ledger.begin() as tx:
            for each in part:
                sight(tx, ports, each, listing)

    _in_parts(fresh, write, renew)
    if known_by_now:
        with ports.ledger.begin() as tx:
            for alarm in known_by_now:
                name_explained(tx, ports, alarm)


def _fresh(tx: Transaction, ports: CollectPorts, listing: Mapping[str, RemoteFile]) -> Iterator[RemoteFile]:
    acquirer = ports.acquirer
    names = iter(listing)
    while part := tuple(islice(names, READ_TOGETHER)):
        known = {each.name: each for each in tx.sightings.find(acquirer=acquirer.name, name=part)}
        yield from (listing[name] for name in part if news(acquirer, known.get(name), listing[name], listing))


def _in_parts(found: Sequence[T], write: Callable[[Sequence[T]], None], renew: Callable[[], None]) -> None:
    for start in range(0, len(found), WRITTEN_TOGETHER):
        if start:
            time.sleep(
                REST_S
            )  # for other writers: SQLite gives its lock to whoever asks first, which would be us again
            renew()
        write(found[start : start + WRITTEN_TOGETHER])
