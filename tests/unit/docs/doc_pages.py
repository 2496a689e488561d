"""The pages of the documentation as text, their parts and their examples: what the tests of this folder look at."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def says(text: str, word: str) -> bool:
    """Whether the word stands in it as code, by itself or within a longer span of code."""
    return re.search(rf"`[^`\n]*(?<![\w-]){re.escape(word)}(?![\w-])[^`\n]*`", text) is not None


def missing(page: str, words: Iterable[str]) -> list[str]:
    """Those of the words that the page does not say."""
    text = text_of(page)
    return [word for word in words if not says(text, word)]


def part(text: str, heading: str) -> str:
    """What stands below a heading, up to the next heading of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no heading {heading!r}"
    return found[1]


def fences(page: Path) -> list[tuple[str, str]]:
    """(kind, body) of each example; none for a page that is missing, which other tests complain of."""
    if not page.exists():
        return []
    return [(match[1].strip(), match[2]) for match in FENCE.finditer(page.read_text(encoding="utf-8"))]


def without_fences(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))
