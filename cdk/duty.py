"""Says what people who look after a deployment may touch: as plain data, one duty per role."""

from __future__ import annotations

from dataclasses import dataclass

from cdk.buckets import BUCKETS

STORES = tuple(store for stores in BUCKETS.values() for store in stores)


@dataclass(frozen=True, kw_only=True)
class Duty:
    """A role for people and the task that they start in it; also the name of their user in the ledger.

    `writes` are the stores that its commands put to. `requeues`: it moves messages from dead letters to the stages and
    wakes them. No duty starts the task that logs in at acquirers: ECS lets whoever starts a task replace its variables, and
    with other ones that task would take its secrets to another server.
    """

    name: str
    about: str
    reads: tuple[str, ...]
    writes: tuple[str, ...] = ()
    requeues: bool = False


AUDITOR = Duty(name="auditor", about="Proves, traces and verifies", reads=STORES)
OPERATOR = Duty(
    name="operator",
    about="Holds, requeues and stops deliveries",
    # What payments of a file were rejected is read, and the list of those that are chosen is kept.
    reads=("expected", "reported"),
    writes=("redeliveries",),
    requeues=True,
)
DUTIES = (AUDITOR, OPERATOR)
READ_ONLY = frozenset({AUDITOR.name})
CONNECTIONS_MAX = 4
"""Of all people of one duty together, on machines and in tasks."""
