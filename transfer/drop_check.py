"""Checks the way to an acquirer without changing anything: connect, log in, list the directories, plan a delivery, disconnect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from payments.config import AcquirerSection
from payments.errors import TieoutError
from payments.remote_ports import RemoteDrop
from transfer.delivery_plan import DeliveryPlan


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was checked. `said` tells what was found, or what is wrong; `next_step` only then."""

    what: str
    ok: bool
    said: str
    next_step: str = ""


def check_drop(
    connect: Callable[[], AbstractContextManager[RemoteDrop]],
    acquirer: AcquirerSection,
    plan: Callable[[str], DeliveryPlan],
) -> Iterator[Checked]:
    """One result per thing, as they are found; nothing is listed without a connection. `plan` is told the proven host key."""
    try:
        with connect() as drop:
            yield Checked("connect", ok=True, said=f"host key {drop.host_key}" if drop.host_key else "done")
            for what in ("inbox", "outbox", "archive"):
                directory = getattr(acquirer.drop, what)
                if directory:
                    yield _listed(drop, what, directory)
            yield _planned(plan(drop.host_key), acquirer)
    except TieoutError as error:
        yield Checked("connect", ok=False, said=str(error), next_step=error.next_step)


def _planned(plan: DeliveryPlan, acquirer: AcquirerSection) -> Checked:
    try:
        plan.check(acquirer)
    except TieoutError as error:
        return Checked("plan", ok=False, said=str(error), next_step=error.next_step)
    chosen = "; ".join(f"{what}: {choice}" for what, choice in plan.rows())
    return Checked("plan", ok=True, said=f"{chosen}; profile: {plan.profile}")


def _listed(drop: RemoteDrop, what: str, directory: str) -> Checked:
    try:
        found = drop.listing(directory)
    except TieoutError as error:
        return Checked(what, ok=False, said=str(error), next_step=error.next_step)
    return Checked(what, ok=True, said=f"{directory}: {sum(each.plain for each in found):,} files")
