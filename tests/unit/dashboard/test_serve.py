"""The page as a process: where it says it is, how it ends, and what it does when its port is taken."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from dashboard.address import NAME, forget, publish, published
from tests.servers.process import free_port, until
from tests.unit.dashboard.page_world import page_world

END_S_MAX = 20.0


@contextmanager
def serving(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The page over a new ledger; its log goes to `page.log`."""
    page_world(folder).ledger.engine.dispose()
    with (folder / "tieout.toml").open("a") as file:
        file.write(f"[dashboard]\nport = {port}\n")
    arguments = ["--config", str(folder / "tieout.toml"), "--parent", str(os.getpid())]
    with (folder / "page.log").open("wb") as log:
        child = subprocess.Popen([sys.executable, "-m", "dashboard.serve", *arguments], stderr=log, stdout=log)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def test_the_page_says_where_it_is_and_ends_in_order(tmp_path: Path) -> None:
    """It publishes an address that answers, ends with status 0 at SIGTERM, takes the address away, and says nothing."""
    with serving(tmp_path, 0) as child:
        until(lambda: bool(published(tmp_path)), "the page's address")
        address = published(tmp_path)
        assert httpx.get(f"{address}healthz", timeout=10).json() == {"status": "ok"}
        assert "server" not in httpx.get(address, timeout=10).headers
        child.send_signal(signal.SIGTERM)
        assert child.wait(END_S_MAX) == 0
    assert published(tmp_path) == ""
    assert (tmp_path / "page.log").read_bytes() == b""


def test_a_taken_port_is_said_once(tmp_path: Path) -> None:
    """A port that somebody else listens on ends the page with status 1 and one log line naming the setting and the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(tmp_path, port) as child:
            assert child.wait(END_S_MAX) == 1
    lines = (tmp_path / "page.log").read_text().splitlines()
    assert len(lines) == 1
    said = json.loads(lines[0])
    assert said["level"] == "critical"
    assert f"dashboard.port: 127.0.0.1:{port}: Address already in use" in said["message"]
    assert published(tmp_path) == ""


def test_an_own_port_is_used(tmp_path: Path) -> None:
    """The configured port is the one that answers."""
    port = free_port()
    with serving(tmp_path, port):
        until(lambda: bool(published(tmp_path)), "the page's address")
        assert published(tmp_path) == f"http://127.0.0.1:{port}/"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent ended")
def test_the_page_never_outlives_its_parent(tmp_path: Path) -> None:
    """When the process that started it is killed, the page ends by itself."""
    page_world(tmp_path).ledger.engine.dispose()
    with (tmp_path / "tieout.toml").open("a") as file:
        file.write("[dashboard]\nport = 0\n")
    program = (
        "import os, subprocess, sys\n"
        "page = subprocess.Popen([sys.executable, '-m', 'dashboard.serve', '--config', sys.argv[1], "
        "'--parent', str(os.getpid())])\n"
        "print(page.pid, flush=True)\npage.wait()\n"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "tieout.toml")]
    parent = subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    assert parent.stdout is not None
    with parent.stdout:
        page = int(parent.stdout.readline())
        until(lambda: bool(published(tmp_path)), "the page's address")
        parent.kill()
        parent.wait()
    until(lambda: not _runs(page), "the page to end", END_S_MAX)


def _runs(process: int) -> bool:
    """A process that ended and was not collected yet counts as ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_addresses_are_replaced_and_forgotten(tmp_path: Path) -> None:
    """An address is there whole or not at all; an IPv6 address stands in brackets."""
    assert published(tmp_path) == ""
    assert publish(tmp_path, "127.0.0.1", 80) == published(tmp_path) == "http://127.0.0.1:80/"
    assert publish(tmp_path, "::1", 81) == published(tmp_path) == "http://[::1]:81/"
    forget(tmp_path)
    forget(tmp_path)
    assert not list(tmp_path.glob(f"{NAME}*"))
