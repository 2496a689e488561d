"""Remembers across restarts: one journal per partner, and the book of truth about what was planted.

What makes "the truth first, and once" hold when the process is killed anywhere:

    journal: telling (length of the truth) -> truth: append -> outbox: rename -> journal: told

A `telling` without its `told` means that the truth is cut back to that length and the answer is given again: same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


class Journal:
    """A file of JSON lines that only grows. A line that was cut off by a kill is taken away when the file is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> list[dict[str, Any]]:
        """Every event so far."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return []
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            os.truncate(self._path, whole)
        return [json.loads(line) for line in content[:whole].splitlines()]

    def append(self, event: str, **more: object) -> None:
        append_lines(self._path, [{"event": event, **more}])


class TruthBook:
    """`DIR/truth/acquirer.jsonl`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def length(self) -> int:
        """In bytes."""
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, lines: Iterable[Mapping[str, object]]) -> None:
        append_lines(self._path, lines)

    def cut(self, length: int) -> None:
        """Take back what was written behind `length`."""
        if self.length() > length:
            os.truncate(self._path, length)


def append_lines(path: Path, lines: Iterable[Mapping[str, object]]) -> None:
    """Append JSON lines in one go."""
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    with path.open("ab") as file:
        file.write(content)
