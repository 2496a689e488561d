"""The greedy reader of the hostile acquirer: looks at the inbox all the time and remembers everything that it ever saw.

It looks after every request that the server answers and every millisecond in between, as a partner does that takes
whatever fits its pattern. What it saw in part was offered in part: that is the fault which a rehearsal is there to find.
"""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

LOOK_EVERY_S = 0.001
CONTENTS_MAX = 50
"""Contents remembered per name: who shows so many offers files in part, and reading them again and again proves no more."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file held at one moment."""

    size: int
    sha256: str


class Watch:
    """One account. `contents` has every content that was seen under a name, in order, since the last `begin`."""

    def __init__(self, root: Path, hidden: Path) -> None:
        self._inbox = root / "inbox"
        self._archive = root / "archive"
        self._hidden = hidden
        self.begin("*", None, None)

    def begin(self, pattern: str, take_ms: int | None, take_to: Path | None) -> None:
        """Forget what was seen, and look for these names from now on."""
        self._pattern = pattern
        self._take_ms = take_ms
        self._take_to = take_to or self._hidden
        self._marks: dict[str, tuple[int, int, int]] = {}
        self.contents: dict[str, list[Content]] = {}

    def partial(self) -> list[str]:
        """Names that were seen with more than one content: what came first was not the whole."""
        return sorted(name for name, contents in self.contents.items() if len(contents) > 1)

    def hands(self) -> list[tuple[str, Content]]:
        """Every file that the acquirer has now: taken away, archived, or in the inbox under a name that it looks for."""
        taken = sorted(self._hidden.glob("*/*"))
        return [(path.name, _content(path)) for path in (*taken, *sorted(self._archive.iterdir()), *self._offered())]

    def clear(self) -> None:
        """Throw away whatever the acquirer has."""
        for path in (*self._hidden.glob("*/*"), *self._archive.iterdir(), *self._inbox.iterdir()):
            path.unlink()

    def look(self) -> None:
        """One look: read what is new or has changed, and take it away when its time has come."""
        for path in self._offered():
            found = path.stat()
            mark = (found.st_ino, found.st_size, found.st_mtime_ns)
            if self._marks.get(path.name) == mark:
                continue
            first = path.name not in self._marks
            self._marks[path.name] = mark
            contents = self.contents.setdefault(path.name, [])
            if len(contents) < CONTENTS_MAX and (content := _content(path)) not in contents[-1:]:
                contents.append(content)
            if first and self._take_ms is not None:
                self._take_later(path, self._take_ms)

    async def keep_looking(self) -> None:
        """Until it is cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    def _offered(self) -> list[Path]:
        return [
            path
            for path in sorted(self._inbox.iterdir())
            # As a shell's pattern does: a name that begins with a dot is only found by a pattern that begins with one.
            if fnmatch.fnmatchcase(path.name, self._pattern)
            and (self._pattern.startswith(".") or not path.name.startswith("."))
            and path.is_file()
        ]

    def _take_later(self, path: Path, after_ms: int) -> None:
        if after_ms == 0:
            self._take(path)
        else:
            asyncio.get_running_loop().call_later(after_ms / 1000, self._take, path)

    def _take(self, path: Path) -> None:
        if not path.exists():
            return
        target = self._take_to / path.name
        if self._take_to == self._hidden or target.exists():
            # In a folder of its own: a second file of this name must not hide the first.
            target = Path(tempfile.mkdtemp(dir=self._hidden)) / path.name
        path.rename(target)
        self._marks.pop(path.name, None)


def _content(path: Path) -> Content:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as source:
        while data := source.read(1 << 20):
            digest.update(data)
            size += len(data)
    return Content(size, digest.hexdigest())
