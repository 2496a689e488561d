"""What the stand-in acquirer is told: reads and checks `DIR/acquirer/acquirer.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMATS = ("delimited", "pain.001.001.09")
LISTS = ("all", "exceptions_only", "successes_only")
KINDS = (
    "rejected",
    "amount_changed",
    "currency_changed",
    "omitted",
    "repeated",
    "invented",
    "returned",
    "late",
    "conflicting",
)
"""What may be planted; at most one kind per payment, and `invented` is a line of its own."""

DELAYS = ("ack_delay_s", "result_delay_s", "late_delay_s", "return_delay_s")
DELAY_S_MAX = 10_000_000
PARTNERS_MAX = 100
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class WrongSettings(Exception):
    """The settings file is missing, unreadable or holds something that is not allowed; the text names the key."""


@dataclass(frozen=True, slots=True)
class Partner:
    """One client of the acquirer. Delays count from the pick-up of a file; `shares` maps a kind to its share of payments."""

    name: str
    format: str = "delimited"
    results_list: str = "all"
    ack_delay_s: int = 0
    result_delay_s: int = 0
    late_delay_s: int = 0
    return_delay_s: int = 0
    sequence_first: int = 1
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to listen (`port` 0 takes a free one), the seed of every decision, and the partners."""

    seed: int
    host: str
    port: int
    partners: tuple[Partner, ...]


def load(directory: Path) -> Settings:
    """Read `DIR/acquirer/acquirer.json`. Raises WrongSettings."""
    path = directory / "acquirer" / "acquirer.json"
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise WrongSettings(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise WrongSettings(f"{path}: is not JSON") from error
    return parse(found)


def parse(found: Any) -> Settings:
    """Settings from the JSON value. Raises WrongSettings for a missing, unknown or impossible value."""
    top = _table(found, "acquirer.json", {"seed", "host", "port", "partners"})
    listed = _need(top, "partners", list, "acquirer.json")
    if not 1 <= len(listed) <= PARTNERS_MAX:
        raise WrongSettings(f"acquirer.json: partners must hold 1 to {PARTNERS_MAX} entries")
    partners = tuple(_partner(each, f"partners[{index}]") for index, each in enumerate(listed))
    if len({each.name for each in partners}) != len(partners):
        raise WrongSettings("acquirer.json: two partners have the same name")
    return Settings(
        seed=_need(top, "seed", int, "acquirer.json"),
        host=_need(top, "host", str, "acquirer.json"),
        port=_within(_need(top, "port", int, "acquirer.json"), 0, 65_535, "port"),
        partners=partners,
    )


def _partner(found: Any, where: str) -> Partner:
    table = _table(found, where, {"name", "format", "results_list", "sequence_first", "shares", *DELAYS})
    name = _need(table, "name", str, where)
    if not NAME.fullmatch(name):
        raise WrongSettings(f"{where}.name: small letters, digits and dashes, at most 40")
    return Partner(
        name=name,
        format=_one_of(table.get("format", "delimited"), FORMATS, f"{where}.format"),
        results_list=_one_of(table.get("results_list", "all"), LISTS, f"{where}.results_list"),
        sequence_first=_within(table.get("sequence_first", 1), 1, 10**15, f"{where}.sequence_first"),
        shares=_shares(table.get("shares", {}), f"{where}.shares"),
        **{key: _within(table.get(key, 0), 0, DELAY_S_MAX, f"{where}.{key}") for key in DELAYS},
    )


def _shares(found: Any, where: str) -> dict[str, float]:
    table = _table(found, where, set(KINDS))
    for kind, share in table.items():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise WrongSettings(f"{where}.{kind}: a share from 0 to 1")
    if sum(table.values()) > 1:
        raise WrongSettings(f"{where}: the shares add up to more than 1")
    return {kind: float(share) for kind, share in table.items()}


def _table(found: Any, where: str, allowed: set[str]) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise WrongSettings(f"{where}: an object was expected")
    unknown = sorted(set(found) - allowed)
    if unknown:
        raise WrongSettings(f"{where}.{unknown[0]}: unknown key; allowed are {', '.join(sorted(allowed))}")
    return found


def _need(table: dict[str, Any], key: str, kind: type, where: str) -> Any:
    value = table.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise WrongSettings(f"{where}.{key}: required, as {kind.__name__}")
    return value


def _one_of(value: Any, allowed: tuple[str, ...], where: str) -> str:
    if value not in allowed:
        raise WrongSettings(f"{where}: one of {', '.join(allowed)}")
    return str(value)


def _within(value: Any, low: int, high: int, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise WrongSettings(f"{where}: a whole number from {low} to {high}")
    return value
