"""Says whether an assembly has something to do: from the ledger alone, so that whoever only wakes reads no columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from payments.config import Configuration
from payments.ports import Transaction
from payments.records import OutboundFile
from payments.redeliveries import ASKED, Redelivery
from transfer.business_day import business_date, latest_date
from transfer.gone_back import RETURN_ASKED
from transfer.windows import Place, local_day
from transfer.windows_firing import last_assembly, measured_against, missed_files, place_now


@dataclass(frozen=True, slots=True)
class Chosen:
    """Payments of `file` that people chose to send again."""

    redelivery: Redelivery
    file: OutboundFile


@dataclass(frozen=True, slots=True)
class WindowState:
    """How the windows of one acquirer stand: rows go in `place`, or wait for the window of `business_date`.

    Of a plan that is resumed `place` is not known any more: its files are.
    """

    business_date: date
    waits: bool
    place: Place | None = None


def is_pending(tx: Transaction, configuration: Configuration, now: datetime) -> bool:
    """Whether an assembly has something to do: a plan to finish, a curated run, rows asked back, a pool that is due."""
    if tx.assemblies.count(state="planned") or tx.runs.count(state="curated"):
        return True
    last = last_assembly(tx)
    states = window_states(tx, configuration, now)
    if asked_back(tx, states) or chosen_of(tx, states):
        return True
    due = {} if last is None else last.plan["pool_due"]
    waiting = {} if last is None else last.plan.get("waiting", {})
    for each in configuration.acquirer:
        state = states.get(each.name)
        if missed_files(tx, each, now):
            return True
        if state is not None and state.waits:
            continue
        if each.name in waiting or (state is not None and _fires(state)):
            return True
        day = business_date(each, now) if state is None else state.business_date
        if each.name in due and date.fromisoformat(due[each.name]) <= latest_date(day, each.send_ahead_days):
            return True
    return False


def _fires(state: WindowState) -> bool:
    """Whether a window gathered until now: it fires also when nothing waits for it."""
    return state.place is not None and state.place.occurrence.gathers and not state.place.late


def asked_back(tx: Transaction, states: Mapping[str, WindowState]) -> list[OutboundFile]:
    """Files whose rows a person asked for, but those of acquirers that take no files now."""
    shut = {name for name, state in states.items() if state.waits}
    return [file for file in tx.files.find(returned_in=RETURN_ASKED) if file.acquirer not in shut]


def chosen_of(tx: Transaction, states: Mapping[str, WindowState]) -> list[Chosen]:
    """The same for chosen payments of files."""
    shut = {name for name, state in states.items() if state.waits}
    return [each for each in chosen_in(tx, ASKED) if each.file.acquirer not in shut]


def chosen_in(tx: Transaction, ordinal: int) -> list[Chosen]:
    """What an assembly took, or, of none, what nobody took yet; in a fixed order."""
    found = [(each, tx.files.get(each.file_id)) for each in tx.redeliveries.find(returned_in=ordinal)]
    return [Chosen(each, file) for each, file in found if file is not None]


def window_states(tx: Transaction, configuration: Configuration, now: datetime) -> dict[str, WindowState]:
    """How the windows stand now, per acquirer that has any."""
    last, found = last_assembly(tx), {}
    for each in configuration.acquirer:
        if each.window:
            decision = place_now(tx, each, now, last)
            place = decision if isinstance(decision, Place) else None
            found[each.name] = WindowState(measured_against(decision, local_day(each, now)), place is None, place)
    return found
