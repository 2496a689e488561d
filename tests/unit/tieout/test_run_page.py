"""`tieout run` and its page: the address is said when the page is up, and a page that cannot be served harms nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from dashboard.address import published
from tests.servers.process import until

END_S_MAX = 20.0


@contextmanager
def running(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A service without sources and acquirers; what it prints goes to `out`, its log to `log`."""
    (folder / "tieout.toml").write_text(f"[dashboard]\nport = {port}\n[service]\nworkers = 1\n")
    command = [sys.executable, "-m", "tieout", "run", "--config", str(folder / "tieout.toml")]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with (folder / "out").open("wb") as out, (folder / "log").open("wb") as log:
        service = subprocess.Popen(command, stdout=out, stderr=log, env=environment)
    try:
        yield service
    finally:
        service.kill()
        service.wait()


def test_the_service_says_where_its_page_is(tmp_path: Path) -> None:
    """The address is printed once the page answers there, also when a killed page left another one; SIGTERM ends both."""
    (tmp_path / "page.address").write_text("http://127.0.0.1:1/\n")
    with running(tmp_path, 0) as service:
        until(lambda: b"the page is at" in (tmp_path / "out").read_bytes(), "the page's address")
        address = (tmp_path / "out").read_text().split()[-1]
        assert httpx.get(f"{address}healthz", timeout=10).status_code == 200
        service.send_signal(signal.SIGTERM)
        assert service.wait(END_S_MAX) == 0
    assert published(tmp_path) == ""
    assert (tmp_path / "out").read_text().count("the page is at") == 1


def test_a_taken_port_does_not_storm_and_stops_nothing(tmp_path: Path) -> None:
    """With its port taken the page is started again ever more rarely, the service lives on, and the page comes when it can."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(tmp_path, port) as service:
            log = tmp_path / "log"
            until(lambda: b"started again in 2 s" in log.read_bytes(), "the second pause")
            assert log.read_bytes().count(b"Address already in use") == 2
            assert service.poll() is None
            taken.close()
            until(lambda: b"the page is at" in (tmp_path / "out").read_bytes(), "the page's address")
            assert published(tmp_path) == f"http://127.0.0.1:{port}/"
            assert log.read_bytes().count(b"Address already in use") == 2
            service.send_signal(signal.SIGTERM)
            assert service.wait(END_S_MAX) == 0
