"""A small world in which nothing has happened yet, and its commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.wiring import World
from tests.unit.local.small_world import acquirer, source
from tests.unit.local.small_world import world as small_world
from tieout.__main__ import main


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = small_world(tmp_path, source(), acquirer())
    yield world
    if "ledger" in vars(world):
        world.ledger.engine.dispose()


@pytest.fixture
def tieout(world: World, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command against the world: (exit status, standard output, standard error)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main([*arguments, "--config", world.settings.path])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run
