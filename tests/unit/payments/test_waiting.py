"""A kept time that no wait can explain keeps nobody waiting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from payments.waiting import CLOCKS_DIFFER, due_at

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("ahead", [-365 * 24 * HOUR, timedelta(), HOUR, HOUR + CLOCKS_DIFFER])
def test_a_time_that_may_be_is_believed(ahead: timedelta) -> None:
    """Past, now, and as far ahead as a wait of an hour reaches, with a minute between two machines."""
    assert due_at(NOW + ahead, NOW, HOUR) == NOW + ahead


@pytest.mark.parametrize("ahead", [HOUR + CLOCKS_DIFFER + timedelta(seconds=1), timedelta(days=365)])
def test_a_time_that_cannot_be_is_due_now(ahead: timedelta) -> None:
    """Further ahead: the clock was wrong when it was kept."""
    assert due_at(NOW + ahead, NOW, HOUR) == NOW


def test_where_nothing_is_kept_it_is_due_now() -> None:
    """Nobody has to wait for what was never said."""
    assert due_at(None, NOW, HOUR) == NOW
