"""Fixtures that every room's tests may ask for: real servers, started once per session (or per xdist worker)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import moto, postgres


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
