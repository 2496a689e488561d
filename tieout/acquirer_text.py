"""Words and JSON of `tieout acquirer`: keys, profile and the effect of an act."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from payments.config import AcquirerSection
from payments.records import AcquirerProfile, StagedKey
from tieout.show import clean, table
from transfer.delivery_plan import delivery_plan
from transfer.host_keys import KnownKey, SeenKey
from transfer.profile import CapabilityProfile, advice, rows


def keys_text(known: Sequence[KnownKey], seen: SeenKey | None, alarm: str) -> str:
    """The table of keys, which one the last delivery saw, and whether that one ends."""
    found = [
        (
            each.fingerprint,
            each.algorithm,
            each.state,
            each.accepted,
            when(each.valid_from),
            when(each.valid_until),
            ", ".join(filter(None, (each.staged_by, each.approved_by))),
            "last delivery" if seen is not None and seen.fingerprint == each.fingerprint else "",
        )
        for each in known
    ]
    header = ("HOST KEY", "ALGORITHM", "STATE", "ACCEPTED", "FROM", "UNTIL", "BY", "SEEN")
    if seen is None:
        said = "no delivery yet"
    else:
        said = f"the last delivery saw {seen.fingerprint} on {when(seen.seen_at)} ({clean(seen.file)})"
    return "\n".join(filter(None, (table(header, found), said, alarm)))


def profile_text(acquirer: AcquirerSection, record: AcquirerProfile, now: datetime) -> str:
    """One line per thing that was probed, then what follows from it, then how the next session would deliver."""
    profile = CapabilityProfile.from_json(record.found)
    lines = [f"{what:25} {clean(found)}" for what, found in rows(profile)]
    notes = [f"note: {clean(each)}" for each in advice(profile, acquirer.server)]
    plan = delivery_plan(acquirer, record, record.host_key, now)
    chosen = [f"{what:25} {clean(choice)}" for what, choice in plan.rows()]
    lacks = [f"note: nothing is uploaded: {clean(each)}" for each in plan.lacks]
    head = f"delivery plan, as long as the server holds this host key ({clean(plan.profile)})"
    return "\n".join([f"{'probed':25} {when(record.probed_at)}", *lines, *notes, "", head, *chosen, *lacks])


def profile_json(acquirer: AcquirerSection, record: AcquirerProfile, now: datetime) -> dict[str, Any]:
    """The profile's fields with `acquirer`, `probed_at`, `notes` and `plan`."""
    notes = advice(CapabilityProfile.from_json(record.found), acquirer.server)
    plan = delivery_plan(acquirer, record, record.host_key, now)
    told = {"notes": notes, "plan": {"hash": plan.hash, **plan.to_json()}}
    return {"acquirer": record.acquirer, "probed_at": record.probed_at.isoformat(), **record.found, **told}


def effect(key: StagedKey) -> str:
    """What an act has led to, and what comes next."""
    match key.state:
        case "proposed":
            return (
                f"a different person approves it with `tieout acquirer {key.acquirer} keys --approve {key.fingerprint}`"
            )
        case "approved":
            return f"accepted from {when(key.valid_from)} until {when(key.valid_until)}"
        case _:
            return "sessions opened from now on refuse it"


def plain(record: Any) -> dict[str, Any]:
    """A frozen record as JSON: its fields, times as text."""
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in asdict(record).items()}


def when(at: datetime | None) -> str:
    """A time to the minute, in UTC; empty for none."""
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%MZ}"
