"""Reads the price table and what was measured: both are files, so that neither is ever a number in code."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

from payments.errors import NotAllowed

SIZE_MAX = 1_000_000
OURS = ("unit", "page", "seen")
"""Keys of a price that are not regions."""


@dataclass(frozen=True)
class Prices:
    """What one unit of each thing costs in one region, in USD, and where that is written."""

    region: str
    date: date
    usd: Mapping[str, Decimal]
    unit: Mapping[str, str]

    def of(self, key: str) -> Decimal:
        """Raises NotAllowed for a thing that the table does not price."""
        if key not in self.usd:
            raise NotAllowed(
                f"the price table has no price.{key} for {self.region}",
                next_step="Copy tieout/data/prices.toml and change the figures: every price in it is needed.",
            )
        return self.usd[key]


def read_prices(region: str, path: str = "") -> Prices:
    """Of the file at `path`, else of the table that comes with Tieout. Raises NotAllowed."""
    table = _read(path) if path else tomllib.loads(_packaged("prices.toml"), parse_float=Decimal)
    priced = table.get("price")
    if not isinstance(priced, dict) or not isinstance(table.get("date"), date):
        raise _wrong(path, "a table needs `date` and [price.NAME] for each price")
    regions = sorted({name for each in priced.values() if isinstance(each, dict) for name in each} - set(OURS))
    if region not in regions:
        raise NotAllowed(
            f"--region: found {region!a}; the price table knows {', '.join(regions)}",
            next_step="Add the region's prices to a copy of the table and give it with --prices FILE.",
        )
    usd: dict[str, Decimal] = {}
    for name, each in priced.items():
        found = each.get(region) if isinstance(each, dict) else None
        if found is None:
            continue
        if (
            isinstance(found, bool)
            or not isinstance(found, Decimal | int)
            or not Decimal(found).is_finite()
            or found < 0
        ):
            raise _wrong(path, f"price.{name}.{region} is no number from 0 up")
        usd[name] = Decimal(found)
    return Prices(region, table["date"], usd, {name: str(each.get("unit", "")) for name, each in priced.items()})


def read_measured() -> dict[str, Any]:
    """What benchmarks/stage_times.py wrote."""
    return tomllib.loads(_packaged("measured.toml"), parse_float=Decimal)


def _packaged(name: str) -> str:
    return (files("tieout") / "data" / name).read_text(encoding="utf-8")


def _read(path: str) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as file:
            text = file.read(SIZE_MAX + 1)
        if len(text) > SIZE_MAX:
            raise _wrong(path, f"larger than {SIZE_MAX} bytes")
        return tomllib.loads(text.decode(), parse_float=Decimal)
    except OSError as error:
        raise _wrong(path, error.strerror or "cannot be read") from error
    except (ValueError, RecursionError) as error:
        raise _wrong(path, "not TOML") from error


def _wrong(path: str, why: str) -> NotAllowed:
    return NotAllowed(f"--prices {path!a}: {why}", next_step="tieout/data/prices.toml shows the form of the table.")
