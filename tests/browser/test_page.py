"""The page of a finished demo in a real browser: what it shows, in both colour schemes, on a desk and on a phone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.address import published
from reconciliation.statement import statement
from runtime.wiring import World
from tests.servers.chromium import MISSING, Page, binary, chromium
from tests.servers.finished_demo import copied_demo
from tests.servers.process import until

CONTRAST = """
(() => {
  const channels = text => text.match(/[0-9.]+/g).map(Number);
  // `color-mix` is computed as color(srgb r g b / a) with channels from 0 to 1.
  const colour = text => { const c = channels(text); return text.startsWith('color(') ?
    [c[0] * 255, c[1] * 255, c[2] * 255, c.length > 3 ? c[3] : 1] : [c[0], c[1], c[2], c.length > 3 ? c[3] : 1]; };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const background = node => { const own = colour(getComputedStyle(node).backgroundColor);
    return own[3] === 1 || !node.parentElement ? (own[3] === 0 ? [255, 255, 255, 1] : own)
      : over(own, background(node.parentElement)); };
  const light = c => { const l = c.slice(0, 3).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2]; };
  const weak = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !node.getClientRects().length || node.tagName === 'OPTION') continue;
    const below = background(node), text = over(colour(getComputedStyle(node).color), below);
    const [high, low] = [light(text), light(below)].sort((a, b) => b - a);
    if ((high + 0.05) / (low + 0.05) < 4.5) weak.add(`${node.tagName}.${node.className} ${node.textContent.trim().slice(0, 20)}`);
  }
  return [...weak];
})()
"""
COUNTS = """
Object.fromEntries([...document.querySelectorAll('section[aria-labelledby=payments] tbody tr')].map(
  row => [row.querySelector('th').firstChild.textContent.trim(), row.querySelector('td').textContent]))
"""


@pytest.fixture(scope="module")
def address(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if binary() is None:
        pytest.skip(MISSING)
    # In a folder of its own, which holds the page's address: another test process would find, and outlive, this page.
    folder = copied_demo(demo_dir, tmp_path_factory.mktemp("page") / "demo")
    arguments = ["--config", str(folder / "tieout.toml"), "--parent", str(os.getpid())]
    child = subprocess.Popen([sys.executable, "-m", "dashboard.serve", *arguments])
    try:
        until(lambda: bool(published(folder)), "the page's address")
        yield published(folder)
        assert child.poll() is None, f"the page's process ended by itself, with status {child.returncode}"
    finally:
        child.terminate()
        child.wait(20)


@pytest.fixture(scope="module")
def page(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture(scope="module")
def paths(demo_dir: Path) -> list[str]:
    """One address of each kind of page."""
    with World.open(str(demo_dir / "tieout.toml")).ledger.look() as tx:
        file, mismatch, run = tx.files.find()[0], tx.mismatches.find()[0], tx.runs.find()[0]
    return [
        "",
        "mismatches",
        f"mismatches/{mismatch.id}",
        f"files/{file.file_id}",
        f"runs/{run.source}/{run.ordinal}",
        "nothing",
    ]


def test_the_first_page_says_what_the_ledger_says(page: Page, address: str, demo_dir: Path, tmp_path: Path) -> None:
    """Both signs and the count of every term are on the page as the statement has them."""
    with World.open(str(demo_dir / "tieout.toml")).ledger.look() as tx:
        books = statement(tx)
    page.open(address, width=1280)
    page.picture(tmp_path / "books.png")
    assert (tmp_path / "books.png").stat().st_size > 50_000
    assert page.ask("document.querySelector('#ties strong').textContent") == "✓ The books tie"
    assert page.ask("document.querySelector('#agrees strong').textContent") == "≠ The acquirer does not agree"
    shown: dict[str, Any] = page.ask(COUNTS)
    assert shown == {term.replace("_", " "): f"{total.count:,}" for term, total in books.terms.items()}
    kinds = page.ask("[...document.querySelectorAll('section[aria-labelledby=kinds] tbody a')].map(a => a.textContent)")
    assert kinds == [kind.replace("_", " ") for kind, count in books.mismatches_by_kind.items() if count]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_and_can_be_read(page: Page, address: str, paths: list[str], width: int, dark: bool) -> None:
    """No page is wider than its window, no text is fainter than 4.5 to 1, and the browser finds nothing to complain of."""
    page.complaints.clear()
    for path in paths:
        page.open(address + path, width=width, dark=dark)
        assert page.ask("document.documentElement.scrollWidth") <= width, path
        assert page.ask(CONTRAST) == [], path
        assert page.ask("matchMedia('(prefers-color-scheme: dark)').matches") is dark
    assert [text for text in page.complaints if "404" not in text] == []


def test_pages_lead_to_each_other(page: Page, address: str) -> None:
    """Every link of the first page leads to a page that is there."""
    page.open(address, width=1280)
    links = page.ask("[...new Set([...document.links].map(a => a.href))]")
    assert any("/files/" in link for link in links)
    assert any("/runs/" in link for link in links)
    assert any("/mismatches/" in link for link in links)
    for link in links:
        page.open(link.partition("#")[0], width=1280)
        status = page.ask("performance.getEntriesByType('navigation')[0].responseStatus")
        heading = page.ask("document.querySelector('h1').textContent")
        assert status == 200, (link, heading)
        assert page.ask("document.querySelectorAll('table').length") > 0, (link, heading)


def test_wide_tables_can_be_moved_by_keyboard(page: Page, address: str) -> None:
    """On a phone each table that is wider than its frame can be focused, and has a name of its own."""
    page.open(address, width=390)
    frames = "[...document.querySelectorAll('.wide')].filter(frame => frame.scrollWidth > frame.clientWidth)"
    assert page.ask(f"{frames}.length") > 0
    assert page.ask(f"{frames}.every(frame => frame.tabIndex === 0 && frame.getAttribute('aria-label'))") is True


def test_a_hostile_script_does_not_run(page: Page, address: str) -> None:
    """Even a script in the page itself is refused by the browser: the policy holds by itself."""
    page.open(address, width=1280)
    page.ask(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1'; "
        "document.body.append(s); })()"
    )
    assert page.ask("typeof window.ran") == "undefined"
