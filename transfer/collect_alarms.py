"""Alarms about the outbox: a mismatch of the acquirer's day, opened once per thing, and closed when the thing came right."""

from __future__ import annotations

from typing import Any

from payments.keys import day_chain, mismatch_id
from payments.ports import Transaction
from payments.records import Mismatch
from payments.remote_ports import RemoteFile
from payments.states import OPEN_MISMATCH_STATES, MismatchKind, MismatchState
from transfer.business_day import business_date
from transfer.collect_ports import CollectPorts

NAME_LENGTH_MAX = 200
NAME_REFUSED = "a name that no rule knows, or a file that is too large"
NOT_PLAIN = "a link, a pipe or a device, which is not followed"


def name_refused(tx: Transaction, ports: CollectPorts, seen: RemoteFile) -> None:
    """A name that no rule knows is not fetched, and somebody must look at it: one alarm per name, whatever becomes of it."""
    why = NAME_REFUSED if seen.plain else NOT_PLAIN
    if _open(tx, ports, "outbox", seen.name, MismatchKind.FILE_UNREADABLE, {"why": why, "size": seen.size}):
        _audit(tx, ports, "outbox_file_refused", {"name": shown(seen.name), "size": seen.size})


def refused_names(tx: Transaction, ports: CollectPorts) -> list[Mismatch]:
    """The open alarms about names."""
    found = tx.mismatches.find(
        acquirer=ports.acquirer.name,
        kind=str(MismatchKind.FILE_UNREADABLE),
        state=tuple(map(str, OPEN_MISMATCH_STATES)),
    )
    return [each for each in found if each.detail.get("why") in {NAME_REFUSED, NOT_PLAIN}]


def name_explained(tx: Transaction, ports: CollectPorts, alarm: Mismatch) -> None:
    """The rules know this name by now."""
    now = ports.clock.now()
    tx.mismatches.change(alarm, state=str(MismatchState.CLOSED_BY_LATE_RESULT), updated_at=now, closed_at=now)
    _audit(tx, ports, "outbox_name_explained", {"name": alarm.detail["name"]})


def fetch_broke(tx: Transaction, ports: CollectPorts, name: str, why: str) -> None:
    """A file that the acquirer gives once was not got whole."""
    if _open(tx, ports, "fetch", name, MismatchKind.FILE_MISSING, {"why": why}):
        _audit(tx, ports, "result_fetch_broke", {"name": shown(name), "why": why})


def fetch_came_right(tx: Transaction, ports: CollectPorts, name: str) -> None:
    """The file was collected after all."""
    known = tx.mismatches.get(mismatch_id("fetch", ports.acquirer.name, name))
    if known is not None and known.state in OPEN_MISMATCH_STATES:
        now = ports.clock.now()
        tx.mismatches.change(known, state=str(MismatchState.CLOSED_BY_LATE_RESULT), updated_at=now, closed_at=now)


def shown(name: str) -> str:
    """A name from the outbox for people: printable ASCII, at most 200 characters."""
    return name.encode("unicode_escape").decode()[:NAME_LENGTH_MAX]


def _open(
    tx: Transaction, ports: CollectPorts, what: str, name: str, kind: MismatchKind, detail: dict[str, Any]
) -> bool:
    """Whether the alarm is new, or back."""
    now, acquirer = ports.clock.now(), ports.acquirer.name
    identity = mismatch_id(what, acquirer, name)
    known = tx.mismatches.get(identity)
    if known is not None:
        if known.state != MismatchState.CLOSED_BY_LATE_RESULT:
            return False
        tx.mismatches.change(known, state=str(MismatchState.REOPENED), updated_at=now, closed_at=None)
        return True
    fresh = Mismatch(
        id=identity,
        acquirer=acquirer,
        business_date=business_date(ports.acquirer, now),
        kind=str(kind),
        state=str(MismatchState.OPEN),
        detail={**detail, "name": shown(name)},
        opened_at=now,
        updated_at=now,
    )
    tx.replace_mismatches([fresh], [])
    return True


def _audit(tx: Transaction, ports: CollectPorts, act: str, body: dict[str, Any]) -> None:
    tx.audit.append(day_chain(ports.acquirer.name, business_date(ports.acquirer, ports.clock.now())), act, body)
