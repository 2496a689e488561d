"""A ledger of each kind for the contract tests: made once per module, emptied behind each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from runtime.ledger.migrate import upgrade
from tests.contract.ledger_world import KINDS, clear, empty_database, opened


@pytest.fixture(scope="module", params=KINDS)
def shared_engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("ledger")
    server = lambda: request.getfixturevalue("postgres_url")  # noqa: E731
    with empty_database(request.param, folder, server) as url, opened(url) as engine:
        upgrade(engine)
        yield engine


@pytest.fixture
def engine(shared_engine: Engine) -> Iterator[Engine]:
    yield shared_engine
    clear(shared_engine)
