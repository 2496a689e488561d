"""The late-commit hole of PostgreSQL, closed: how far a table may be read without overtaking an open transaction.

    transaction A   begin, stamp 10:00:01 ............................ commit 10:00:09
    transaction B              begin, stamp 10:00:02, commit
    reader                                              reads up to B at 10:00:05: A's row would be below its watermark for good

So every run ends strictly below the start of the oldest transaction that was open *before* the page was read. A row stamped
by now() carries its transaction's start; one stamped later carries more.

A prepared transaction does not show when it began. While one holds a write lock on the table, nothing is read at all.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from extractors.postgres_session import Session
from payments.config import SourceSection
from payments.errors import WrongConfiguration

LAG_WARNED = timedelta(minutes=5)
WAIT_S_MAX = 5.0
POLL_S = 0.05
UTC_TEXT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
LOG = logging.getLogger(__name__)

OTHERS = """
    FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND (datname = current_database() OR datname IS NULL)
      AND backend_type NOT IN ('autovacuum worker', 'autovacuum launcher', 'walsender')
"""
WRITE_LOCK = """
    SELECT 1 AS held FROM pg_locks
    WHERE locktype = 'relation' AND pid IS NULL AND mode NOT IN ('AccessShareLock', 'RowShareLock')
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND ($2 <> 'table' OR relation = $1::oid OR relation IN (SELECT relid FROM pg_partition_tree($1::oid::regclass)))
    LIMIT 1
"""
"""A lock without a process belongs to a prepared transaction. What a view or foreign table reads is not known here."""


@dataclass(frozen=True, slots=True)
class OpenTransactions:
    """What else is going on: the server's time, and (process, start) of each open transaction, oldest first."""

    looked_at: datetime
    open: tuple[tuple[int, datetime], ...]


def check_rights(session: Session, source: SourceSection) -> None:
    """Raises WrongConfiguration where open transactions would be hidden from us: then the hole would open without a sign."""
    sees, standby, tracks, user = session.ask(
        "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees, pg_is_in_recovery() AS standby,"
        " current_setting('track_activities') AS tracks, quote_ident(current_user) AS me"
    )[0]
    if not sees:
        raise WrongConfiguration(
            f"source {source.name}: the database user may not see the start of other transactions,"
            " and would lose rows that are committed late",
            next_step=f"Have a database administrator run: GRANT pg_read_all_stats TO {user};",
        )
    if standby:
        raise WrongConfiguration(
            f"source {source.name}: the server is a standby, which does not show the open transactions of its primary",
            next_step="Let `url` name the primary server.",
        )
    if tracks != "on":
        raise WrongConfiguration(
            f"source {source.name}: track_activities is off, so that open transactions do not show when they began",
            next_step="Have a database administrator set track_activities = on.",
        )


def open_transactions(session: Session) -> OpenTransactions:
    """Must be asked before the rows: what begins later is stamped later."""
    rows = session.ask(
        f"SELECT pid::int8 AS pid, to_char(xact_start AT TIME ZONE 'UTC', '{UTC_TEXT}') AS start,"
        f" to_char(clock_timestamp() AT TIME ZONE 'UTC', '{UTC_TEXT}') AS looked {OTHERS} AND xact_start IS NOT NULL"
        f" UNION ALL SELECT 0, NULL, to_char(clock_timestamp() AT TIME ZONE 'UTC', '{UTC_TEXT}') ORDER BY 2"
    )
    times = [(int(pid), _time(start)) for pid, start, _ in rows if start is not None]
    return OpenTransactions(min(_time(looked) for _, _, looked in rows), tuple(times))


def safe_until(session: Session, source: SourceSection, relation: tuple[int, str], now: datetime) -> datetime | None:
    """The time below which no row of the table can still appear. None: nothing is safe; it says so in the log.

    `relation` is the table's oid, and `table` or another word for its kind. The server's clock bounds it too: where ours
    runs ahead, a transaction that begins after our look could still be stamped below `now`.
    """
    others = open_transactions(session)
    if _prepared(session, source, relation):
        return None
    bound = min(now, others.looked_at)
    if others.open and others.open[0][1] < bound:
        process, start = others.open[0]
        lag = bound - start
        level = logging.WARNING if lag > LAG_WARNED else logging.INFO
        LOG.log(
            level,
            "source %s: process %d holds a transaction open since %s; reading ends there, %d s behind",
            source.name,
            process,
            start.isoformat(),
            lag.total_seconds(),
        )
        bound = start
    return bound


def outlived(session: Session, source: SourceSection, relation: tuple[int, str]) -> bool:
    """For watermarks that are no times: wait until every transaction that is open now has ended; False: some did not.

    A number below the highest one seen belongs to a transaction that has ended or is open now, since numbers are given out
    in order (not by sequences with CACHE above 1). Ask after the highest number was read.
    """
    waited_for = set(open_transactions(session).open)
    ends_s = time.monotonic() + min(WAIT_S_MAX, source.timeout_s)
    while waited_for and time.monotonic() < ends_s:
        time.sleep(POLL_S)
        waited_for &= set(open_transactions(session).open)
    for process, start in sorted(waited_for)[:1]:
        LOG.warning(
            "source %s: process %d holds a transaction open since %s; nothing is read before it ends",
            source.name,
            process,
            start.isoformat(),
        )
    return not waited_for and not _prepared(session, source, relation)


def _prepared(session: Session, source: SourceSection, relation: tuple[int, str]) -> bool:
    held = bool(session.ask(WRITE_LOCK, relation))
    if held:
        LOG.warning(
            "source %s: a prepared transaction holds rows of the table; nothing is read before it ends", source.name
        )
    return held


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
