"""Fixtures of the reconcile tests: one acquirer's side of the books in a fresh folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.reconciliation.reconcile_world import World, acquirer


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def world(**settings: Any) -> World:
        made.append(World(tmp_path / str(len(made)), acquirer(**settings)))
        return made[-1]

    yield world
    for each in made:
        each.close()


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    return make()
