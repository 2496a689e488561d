"""The servers that tests start: they answer, and nothing of them is left."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.servers import postgres, process


def test_postgres_answers_and_keeps_data_between_connections(postgres_url: str) -> None:
    """The URL of the fixture leads to a PostgreSQL that commits."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute("create table if not exists seen (n bigint)")
        connection.execute("insert into seen values (9223372036854775807)")
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("select max(n) from seen").fetchone()
    assert row == (9_223_372_036_854_775_807,)


def test_postgres_leaves_nothing_behind() -> None:
    """After the context neither the port nor the directory of the server exists."""
    if postgres.binaries() is None:
        pytest.skip(postgres.MISSING)
    with postgres.postgres() as url:
        with psycopg.connect(url) as connection:
            row = connection.execute("show data_directory").fetchone()
        port = urlsplit(url).port
        assert row is not None
        assert port is not None
        assert Path(row[0]).is_dir()
        assert process.accepts(port)
    assert not process.accepts(port)
    assert not Path(row[0]).exists()


def test_server_that_ends_at_once_is_reported_with_its_words(tmp_path: Path) -> None:
    """A server that does not start raises an error with what it wrote."""
    command = ["/bin/sh", "-c", "echo no room at all; exit 3"]
    with (
        pytest.raises(process.ServerFailed, match=r"status 3\nno room at all"),
        process.running(command, ready=lambda: False, log=tmp_path / "log", env={}),
    ):
        pass
