"""Says until when something waits that waits for a time kept earlier: a clock that was ahead meanwhile must keep nobody waiting.

now            now + longest
 |---------------|------------------------> kept time
   wait for it     no wait is so long: a clock was wrong when it was kept, so it is due now
"""

from __future__ import annotations

from datetime import datetime, timedelta

CLOCKS_DIFFER = timedelta(minutes=1)
"""Machines that share a ledger may be so far apart."""


def due_at(kept: datetime | None, now: datetime, longest: timedelta) -> datetime:
    """The kept time; `now` where there is none, or one further ahead than the longest wait of its kind."""
    return now if kept is None or kept > now + longest + CLOCKS_DIFFER else kept
