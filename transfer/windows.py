"""Windows: when an acquirer takes files, which business date they carry, and where rows go that are complete now.

            opens                    cutoff             closes
    ----------|-------------------------|------------------|----------------> the acquirer's clock
              | when_complete: at once  | late, next, hold |
              | at_cutoff: gathered     | sent             | not there yet: late, next, hold

Everything here is pure: what has fired already is asked of the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from payments.calendars import SEARCH_DAYS_MAX, is_banking_day, weekday
from payments.config import AcquirerSection
from payments.config_windows import Window

SEND_TIME = timedelta(minutes=60)
"""How long what was gathered until the cutoff may take to get there, where the configuration does not say `closes`."""
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A window on one business date. Times are UTC; it is open from `opens` up to, not including, `cutoff`."""

    acquirer: str
    window: Window
    business_date: date
    opens: datetime
    cutoff: datetime
    closes: datetime

    @property
    def firing(self) -> str:
        """The name under which the ledger remembers that it fired."""
        return f"window:{self.acquirer}:{self.business_date}:{self.window.name}"

    @property
    def gathers(self) -> bool:
        """Whether everything waits for the cutoff."""
        return self.window.send == "at_cutoff"

    def is_open(self, now: datetime) -> bool:
        return self.opens <= now < self.cutoff


@dataclass(frozen=True, slots=True)
class Place:
    """Rows may be planned now: for this occurrence. `late` says why they are late, `held` whether a person must agree."""

    occurrence: Occurrence
    late: str = ""
    held: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows wait; `until` is the occurrence that they wait for, None when the calendar has none."""

    until: Occurrence | None


def occurrences(acquirer: AcquirerSection, first: date, last: date) -> Iterator[Occurrence]:
    """Every occurrence with a business date from `first` to `last`, by cutoff within each day."""
    day, zone = first, ZoneInfo(acquirer.zone)
    while day <= last:
        if is_banking_day(acquirer.calendar, day) and _exists(day, zone):
            found = [
                _occurrence(acquirer, window, day)
                for window in acquirer.window
                if not window.weekdays or weekday(day) in window.weekdays
            ]
            yield from sorted(found, key=lambda each: (each.cutoff, each.opens))
        day += ONE_DAY


def occurrence_of(acquirer: AcquirerSection, day: date, window: str) -> Occurrence | None:
    """The occurrence that a file was planned for; None when its window is no longer configured."""
    known = next((each for each in acquirer.window if each.name == window), None)
    return None if known is None else _occurrence(acquirer, known, day)


def near(acquirer: AcquirerSection, now: datetime) -> list[Occurrence]:
    """Those of yesterday, today and tomorrow at the acquirer: any that can be open, or whose cutoff has just passed."""
    today = local_day(acquirer, now)
    return list(occurrences(acquirer, today - ONE_DAY, today + ONE_DAY))


def following(acquirer: AcquirerSection, now: datetime) -> Iterator[Occurrence]:
    """Those that open behind `now`, in order, as far as calendars are looked at."""
    today = local_day(acquirer, now)
    ahead = occurrences(acquirer, today, today + timedelta(days=SEARCH_DAYS_MAX))
    return (each for each in ahead if each.opens > now)


def local_day(acquirer: AcquirerSection, at: datetime) -> date:
    """The date that the acquirer's calendar on the wall shows."""
    return at.astimezone(ZoneInfo(acquirer.zone)).date()


def decide(
    acquirer: AcquirerSection, now: datetime, *, fired: Callable[[str], bool], waiting_since: datetime | None
) -> Place | Waiting:
    """Where rows go that are complete now. `waiting_since`: when the first of those that wait was complete.

    A gathering window that has fired is over, whatever the clock says: set back, it fires nothing a second time.
    """
    known = near(acquirer, now)
    past = [each for each in known if each.cutoff <= now or (each.gathers and fired(each.firing))]
    due = next((each for each in past if is_unfired(each, now, fired)), None)
    if due is not None:
        return Place(due)
    last = past[-1] if past and past[-1].business_date == local_day(acquirer, now) else None
    if last is not None and waiting_since is not None and waiting_since < last.cutoff and not fired(last.firing):
        missed = _late(last, "was missed")
        if missed is not None:
            return missed
    current = next((each for each in known if each.is_open(now) and each not in past), None)
    if current is not None:
        return Waiting(current) if current.gathers else Place(current)
    late = None if last is None else _late(last, "had passed")
    return late or Waiting(next(islice((each for each in following(acquirer, now) if each not in past), 1), None))


def is_unfired(each: Occurrence, now: datetime, fired: Callable[[str], bool]) -> bool:
    """Whether a gathering window's moment has come: its cutoff has passed, it has not closed, and it did not fire yet."""
    return each.gathers and each.cutoff <= now < each.closes and not fired(each.firing)


def _late(last: Occurrence, what: str) -> Place | None:
    if last.window.late == "next":
        return None
    why = f"late: the cutoff of window {last.window.name} at {last.window.cutoff} {what}"
    return Place(last, late=why, held=last.window.late == "hold")


def next_times(acquirer: AcquirerSection, now: datetime) -> list[datetime]:
    """The next moments behind `now` at which a window opens, has its cutoff or closes."""
    found = [at for each in near(acquirer, now) for at in (each.opens, each.cutoff, each.closes)]
    found += [each.opens for each in islice(following(acquirer, now), 1)]
    return sorted({at for at in found if at > now})


def _occurrence(acquirer: AcquirerSection, window: Window, day: date) -> Occurrence:
    zone = ZoneInfo(acquirer.zone)
    first = day if window.opens < window.cutoff else day - ONE_DAY
    opens, cutoff = _instant(first, window.opens, zone), _instant(day, window.cutoff, zone)
    if cutoff <= opens:
        # Clocks skip the whole window: it is as long as ever, that much later.
        opens, cutoff = _shifted(first, window.opens, zone), _shifted(day, window.cutoff, zone)
    closes = cutoff + (SEND_TIME if window.send == "at_cutoff" else timedelta())
    if window.closes is not None:
        closes = max(cutoff, _instant(day, window.closes, zone))
    return Occurrence(acquirer.name, window, day, opens, cutoff, closes)


def _exists(day: date, zone: ZoneInfo) -> bool:
    """Whether the zone has this day: two islands once skipped one."""
    return datetime.combine(day, time(12), zone).astimezone(UTC).astimezone(zone).date() == day


def _instant(day: date, clock: str, zone: ZoneInfo) -> datetime:
    """When clocks show this time: the first time where they show it twice; where they skip it, when they do."""
    local = datetime.combine(day, time.fromisoformat(clock), zone)
    found = local.astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return found
    return found - _skipped_before(found, zone)


def _skipped_before(found: datetime, zone: ZoneInfo) -> timedelta:
    """How long ago clocks jumped: a skipped time is taken as that much behind the jump."""
    before, after = found - ONE_DAY, found
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return found - after.replace(microsecond=0)


def _shifted(day: date, clock: str, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), zone).astimezone(UTC)
