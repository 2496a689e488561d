"""Fixtures of the interoperability tests: the Java acquirer's classes, compiled once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop import java_acquirer


@pytest.fixture(scope="session")
def java_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the compiled Acquirer.java."""
    if not java_acquirer.has_jdk():
        pytest.skip(java_acquirer.MISSING)
    return java_acquirer.compiled(tmp_path_factory.mktemp("java_classes"))
