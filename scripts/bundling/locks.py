"""Reads the locked lists of the layers: which version of which package, with its hashes, a target needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pip._vendor.packaging.markers import Marker

from scripts.bundling.target import Target

ROOT = Path(__file__).resolve().parents[2]
ENTRY = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>.+))?")


def locked(layer: str, target: Target) -> dict[str, str]:
    """Package -> its requirement with hashes, without markers: the list of one layer, for one target.

    Every function has the base layer: what base holds is left out of the others.
    """
    found = dict(_entries(layer, target))
    return (
        found if layer == "base" else {name: text for name, text in found.items() if name not in _names_in_base(target)}
    )


def _names_in_base(target: Target) -> frozenset[str]:
    return frozenset(name for name, _ in _entries("base", target))


def _entries(layer: str, target: Target) -> Iterator[tuple[str, str]]:
    text = (ROOT / "requirements" / f"lambda-{layer}.txt").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        asked, *hashes = line.split("--hash=")
        entry = ENTRY.fullmatch(asked.strip())
        if entry is None:
            raise ValueError(f"requirements/lambda-{layer}.txt: not understood: {line[:80]!r}")
        if entry["marker"] is None or Marker(entry["marker"]).evaluate(target.markers):
            pins = " ".join(f"--hash={each.strip()}" for each in hashes)
            yield entry["name"], f"{entry['name']}=={entry['version']} {pins}"
