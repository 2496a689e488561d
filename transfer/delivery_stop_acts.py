"""Acts of people on all deliveries at once. Each is one transaction and is audited.

stop      one person, at once: nothing is placed any more from its commit on
resume    a different person, known to us
"""

from __future__ import annotations

from payments.acting import WHY_LENGTH_MAX, Act, Actor, record
from payments.delivery_stops import CHAIN, DeliveryStop, said, stop_in_force
from payments.errors import NotAllowed
from payments.ports import Transaction
from transfer.acts import ActPorts


def stop(ports: ActPorts, actor: Actor, why: str) -> DeliveryStop:
    """Hold all deliveries. Raises NotAllowed without a reason, or when they are stopped already."""
    if not why.strip():
        raise NotAllowed("a stop of all deliveries needs a reason", next_step="Say it with --why TEXT.")
    with ports.ledger.begin() as tx:
        # From here on no worker can come to mean to rename; those that already do have committed it.
        tx.alone(CHAIN)
        if (known := stop_in_force(tx)) is not None:
            raise NotAllowed(said(known), next_step="Nothing is left to do: nothing leaves.")
        made = DeliveryStop(tx.stops.count() + 1, actor.name, ports.clock.now(), why.strip()[:WHY_LENGTH_MAX])
        tx.stops.add(made)
        _keep(tx, Act(_subject(made), "stop_deliveries", made.revision, actor, why, made.stopped_at), "stopped")
    return made


def resume(ports: ActPorts, actor: Actor, why: str = "") -> DeliveryStop:
    """Let files leave again. Raises NotAllowed for who stopped them, for somebody unknown, or when nothing is stopped."""
    with ports.ledger.begin() as tx:
        tx.alone(CHAIN)
        known = stop_in_force(tx)
        if known is None:
            raise NotAllowed("deliveries are not stopped", next_step="`tieout status` says what keeps files here.")
        if not actor.verified:
            raise NotAllowed(
                f"resuming deliveries lets money leave; {actor.name!a} is unverified",
                next_step="Sign in, or run the command as an operating-system user of your own.",
            )
        if actor.name == known.stopped_by:
            raise NotAllowed(
                f"deliveries were stopped by {actor.name!a}: a different person must resume them",
                next_step="Ask a colleague to give the same command under their own user.",
            )
        now = ports.clock.now()
        changed = tx.stops.change(known, resumed_by=actor.name, resumed_at=now)
        _keep(tx, Act(_subject(known), "resume_deliveries", known.revision, actor, why, now), "resumed")
    return changed


def _subject(stop_: DeliveryStop) -> str:
    return f"deliveries:{stop_.ordinal}"


def _keep(tx: Transaction, act: Act, fact: str) -> None:
    record(tx, act)
    body = {"stop": act.subject, "verified": act.actor.verified}
    tx.audit.append(CHAIN, fact, body, actor=act.actor.name)
