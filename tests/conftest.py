"""Fixtures that every room's tests may ask for: real servers, started once per session (or per xdist worker)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import moto, postgres
from tests.servers.finished_demo import base_of, finished_demo


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """`postgresql://user@127.0.0.1:port/postgres` of a real, empty PostgreSQL."""
    if postgres.binaries() is None:
        pytest.skip(postgres.MISSING)
    with postgres.postgres() as url:
        yield url


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """`http://127.0.0.1:port` of a moto server; dummy credentials are in the environment for as long as it runs."""
    with moto.moto() as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_PROFILE", raising=False)
        for name, value in moto.CREDENTIALS.items():
            patch.setenv(name, value)
        yield endpoint


@pytest.fixture(scope="session")
def demo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished demo with its ledger and stores, shared by all tests: look, do not touch."""
    return finished_demo(base_of(tmp_path_factory.getbasetemp()))
