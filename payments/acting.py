"""Acts of people: who acts, the record of each act, and four eyes, by which two different people must ask for the same thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payments.errors import NotAllowed
from payments.keys import decision_id
from payments.ports import Transaction
from payments.records import Decision

WHY_LENGTH_MAX = 500
PROPOSED, DONE = "proposed", "done"


@dataclass(frozen=True, slots=True)
class Actor:
    """A person as the operating system or the sign-on service knows them; never a name that somebody typed."""

    name: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Act:
    """One act of one person on one subject. `revision` is that of the subject when the person looked at it."""

    subject: str
    verb: str
    revision: int
    actor: Actor
    why: str
    at: datetime


def record(tx: Transaction, act: Act, step: str = DONE, **detail: Any) -> Decision:
    """Keep the act. What people type stays in the decision and never enters the audit chain, which nobody can correct."""
    decision = Decision(
        id=decision_id(act.subject, act.verb, act.revision, act.actor.name),
        subject=act.subject,
        act=act.verb,
        actor=act.actor.name,
        verified=act.actor.verified,
        decided_at=act.at,
        detail={"step": step, "revision": act.revision, "why": act.why[:WHY_LENGTH_MAX], **detail},
    )
    tx.decisions.add(decision)
    return decision


def proposal(tx: Transaction, act: Act) -> Decision | None:
    """The standing proposal of a *different* person for this very act, None when nobody asked for it yet.

    A proposal stands as long as its subject does not change. Raises NotAllowed for an actor whom nobody vouches for, and
    for the same person twice.
    """
    if not act.actor.verified:
        raise NotAllowed(
            f"{act.verb} needs two people who are known; {act.actor.name!a} is unverified",
            next_step="Sign in, or run the command as an operating-system user of your own.",
        )
    found = tx.decisions.find(subject=act.subject, act=act.verb, verified=True)
    standing = [each for each in found if _stands(each.detail, act.revision)]
    if any(each.actor == act.actor.name for each in standing):
        raise NotAllowed(
            f"{act.actor.name!a} asked for this {act.verb} already: a different person must agree",
            next_step="Ask a colleague to give the same command under their own user.",
        )
    return standing[0] if standing else None


def _stands(detail: Mapping[str, Any], revision: int) -> bool:
    return detail.get("step") == PROPOSED and detail.get("revision") == revision
