"""What the ledger remembers of windows: which fired, which rows wait, and what becomes of files that missed theirs.

window:ACQUIRER:DATE:NAME   this window fired on this business date, recorded with the plan that it caused
moved:FILE                  the file now belongs to the window that opens at this time
late:FILE                   it was decided that this file goes, or is held, though it is late
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import islice

from payments.config import AcquirerSection
from payments.firings import mark_fired
from payments.keys import day_chain, file_chain
from payments.ports import Transaction
from payments.records import Assembly, Firing, OutboundFile
from payments.states import FileState
from transfer.windows import Occurrence, Place, Waiting, decide, following, local_day, occurrence_of, occurrences

log = logging.getLogger(__name__)

LATE = "late: "
"""How `note` or `held` of a file begins that missed its window."""


def last_assembly(tx: Transaction) -> Assembly | None:
    """The newest one, planned or done."""
    return next(iter(tx.assemblies.find(order="-ordinal", limit=1)), None)


def waiting_since(last: Assembly | None, acquirer: str) -> datetime | None:
    """When the first row that waits for a window of this acquirer was complete; `last` is the newest assembly."""
    found = {} if last is None else last.plan.get("waiting", {})
    return datetime.fromisoformat(found[acquirer]["since"]) if acquirer in found else None


def place_now(tx: Transaction, acquirer: AcquirerSection, now: datetime, last: Assembly | None) -> Place | Waiting:
    """Where rows of an acquirer with windows go that are complete now."""
    return decide(
        acquirer,
        now,
        fired=lambda name: tx.firings.get(name) is not None,
        waiting_since=waiting_since(last, acquirer.name),
    )


def still_waiting(
    waiting: Mapping[str, int], last: Assembly | None, windowed: Sequence[str], now: datetime
) -> dict[str, dict[str, object]]:
    """For the plan: acquirer -> since when rows wait for its window, and how many do."""
    return {
        name: {"since": (waiting_since(last, name) or now).isoformat(), "count": waiting[name]}
        for name in windowed
        if waiting.get(name)
    }


def record_firings(tx: Transaction, places: Mapping[str, Place], used: set[str], now: datetime) -> bool:
    """Each window that is used now, and each that gathered until now, fires once. False: all of them had fired."""
    recorded = False
    for name, place in sorted(places.items()):
        each = place.occurrence
        if (name in used or (each.gathers and not place.late)) and tx.firings.get(each.firing) is None:
            tx.firings.add(Firing(each.firing, now))
            chain = day_chain(each.acquirer, each.business_date)
            tx.audit.append(chain, "window_fired", {"window": each.window.name, "cutoff_at": each.cutoff.isoformat()})
            recorded = True
    return recorded


def first_split(tx: Transaction, place: Place) -> int:
    """The first ordinal that no file of this window and business date has."""
    each = place.occurrence
    files = tx.files.find(acquirer=each.acquirer, business_date=each.business_date, window=each.window.name)
    return max((file.split + 1 for file in files), default=0)


def mark_planned(tx: Transaction, file: OutboundFile, place: Place, now: datetime) -> None:
    """A file planned late needs no second look; one that keeps an older window goes in the one that is open now."""
    each = place.occurrence
    if place.late:
        log.warning("file %s: %s; the policy of the window is %r", file.name, place.late, each.window.late)
        tx.firings.add(Firing(f"late:{file.file_id}", now))
        tx.audit.append(file_chain(file.file_id), "planned_late", {"why": place.late, "policy": each.window.late})
    elif (file.business_date, file.window) != (each.business_date, each.window.name):
        tx.firings.add(Firing(f"moved:{file.file_id}", each.opens))


def is_shut_out(tx: Transaction, acquirer: AcquirerSection, file: OutboundFile, now: datetime) -> bool:
    """Whether a sealed file may not leave now: its window has closed, or is the next one, and the policy is not `late`."""
    if not acquirer.window or file.state != FileState.SEALED:
        return False
    counts = _counts(tx, acquirer, file)
    return counts is not None and counts.window.late != "late" and not counts.opens <= now < counts.closes


def missed_files(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> list[OutboundFile]:
    """Sealed files whose window has closed, and of which nobody has said yet what becomes of them."""
    if not acquirer.window:
        return []
    sealed = tx.files.find(acquirer=acquirer.name, state=str(FileState.SEALED), held="")
    found = [(file, _counts(tx, acquirer, file)) for file in sealed]
    return [file for file, counts in found if counts is not None and now >= counts.closes]


def settle_missed(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> bool:
    """Apply the declared policy to files that missed their window. Their bytes, names and dates stay. False: there was none."""
    files = missed_files(tx, acquirer, now)
    for file in files:
        counts = _counts(tx, acquirer, file)
        if counts is not None:
            _settle(tx, acquirer, file, counts, now)
    return bool(files)


def closes_at(tx: Transaction, acquirer: AcquirerSection, file: OutboundFile) -> datetime | None:
    """By when a file must be there; None when nothing says so, or it is late already."""
    counts = _counts(tx, acquirer, file)
    return None if counts is None else counts.closes


def _counts(tx: Transaction, acquirer: AcquirerSection, file: OutboundFile) -> Occurrence | None:
    """The occurrence that a file must leave in; None when it is late already, or its window is no longer configured."""
    if tx.firings.get(f"late:{file.file_id}") is not None:
        return None
    moved = tx.firings.get(f"moved:{file.file_id}")
    if moved is None:
        return occurrence_of(acquirer, file.business_date, file.window)
    day = local_day(acquirer, moved.fired_at)
    ahead = occurrences(acquirer, day, day + timedelta(days=1))
    return next((each for each in ahead if each.opens == moved.fired_at), None)


def _settle(tx: Transaction, acquirer: AcquirerSection, file: OutboundFile, counts: Occurrence, now: datetime) -> None:
    policy = counts.window.late
    why = f"{LATE}window {counts.window.name} of {counts.business_date} closed before the file was delivered"
    opens = next(islice((each.opens for each in following(acquirer, now)), 1), None) if policy == "next" else None
    if opens is not None:
        again = max(opens, file.next_attempt_at or opens)
        tx.files.change(file, note=f"{why}; it goes in the next one", next_attempt_at=again)
        mark_fired(tx, f"moved:{file.file_id}", opens)
    else:
        # Where no window follows, nothing may leave by itself: a person says.
        goes = policy == "late"
        tx.files.change(file, **({"note": f"{why}; it goes all the same"} if goes else {"held": why}))
        mark_fired(tx, f"late:{file.file_id}", now)
    log.warning("file %s: %s; the policy of the window is %r", file.name, why, policy)
    body = {"window": counts.window.name, "business_date": counts.business_date.isoformat(), "policy": policy}
    tx.audit.append(file_chain(file.file_id), "window_missed", body)


def measured_against(decision: Place | Waiting, today: date) -> date:
    """The business date that requested dates are compared with."""
    if isinstance(decision, Place):
        return decision.occurrence.business_date
    return today if decision.until is None else decision.until.business_date
