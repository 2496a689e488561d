"""The ports that tests give to their servers: nobody else takes one before its server does."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.servers import process
from tests.servers.process import PORTS_EACH, PORTS_FROM, free_port


def test_no_port_is_given_twice_nor_to_a_connection_going_out() -> None:
    """Each call gives another one, below those that the system takes for itself."""
    given = [free_port() for _ in range(50)]
    assert len(set(given)) == 50
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(given) < lowest


def test_processes_do_not_share_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two test processes at once look in different parts."""
    for worker in (0, 1):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{worker}")
        assert (free_port() - PORTS_FROM) // PORTS_EACH == worker


def test_a_port_in_use_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody listens on is given to nobody, though it would be its turn."""
    taken = free_port()
    monkeypatch.setattr(process, "_numbers", iter(range(taken, taken + PORTS_EACH)))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", taken))
        assert free_port() != taken
    monkeypatch.setattr(process, "_numbers", iter(range(taken, taken + PORTS_EACH)))
    assert free_port() == taken
