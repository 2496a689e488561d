"""Reads what was planted on both sides before a chain was deployed, and what the acquirer has taken since."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from payments.books import Total, total_of


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def summed(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """One summary of several sources."""
    outcomes = {name for each in summaries for name in each["by_outcome"]}
    by_outcome = {
        name: total_of(Total.from_json(each["by_outcome"][name]) for each in summaries if name in each["by_outcome"])
        for name in outcomes
    }
    return {
        "kind": "summary",
        "extracted": total_of(Total.from_json(each["extracted"]) for each in summaries).to_json(digest=True),
        "by_outcome": {name: total.to_json(digest=True) for name, total in by_outcome.items()},
    }


def archived(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of every file that the acquirer has taken."""
    found = (folder / "acquirer").glob("*/archive/*")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
