"""The templates that the tests of this folder read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.synth import MISSING, PYTHON, assemblies
from tests.templates import Templates


@pytest.fixture(scope="session")
def synthesised() -> Path:
    if not PYTHON.exists():
        pytest.skip(MISSING)
    return assemblies()


@pytest.fixture(scope="session")
def dev(synthesised: Path) -> Templates:
    return Templates(synthesised / "dev", "dev")


@pytest.fixture(scope="session")
def prod(synthesised: Path) -> Templates:
    return Templates(synthesised / "prod", "prod")


@pytest.fixture(scope="session")
def full(synthesised: Path) -> Templates:
    return Templates(synthesised / "full", "full")
