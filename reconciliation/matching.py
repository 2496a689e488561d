"""Matches the expected payments of one file with every event that was reported for it: a pure function of that set.

Events are ordered by the acquirer's time, then how far their status has come, then result-file hash and line: never by
arrival. What is decided here is one outcome per expected payment, and one use per event.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from payments.states import PAIR_PRECEDENCE, STAGE_OF_STATUS, EventStatus, MatchResult, MismatchKind
from payments.tables import MATCHED, REPORTED
from reconciliation.engine import literal

REFUSALS = (str(EventStatus.RJCT), str(EventStatus.CANC))
POSITIVE = ", ".join(f"('{status}', {stage})" for status, stage in STAGE_OF_STATUS.items())
EXPECTED_COLUMNS = (
    "line, payment_id, end_to_end_id, row_hash, direction, amount_minor, currency, requested_date, creditor_account"
)
NAMED_NOTHING = "(original_file IS NULL AND original_msg_id IS NULL AND original_sequence IS NULL)"


@dataclass(frozen=True, slots=True)
class Terms:
    """What decides about payments without a final event."""

    final_status: str
    tolerance_minor: int
    implicit: bool  # only exceptions are listed, and the list is complete
    overdue: bool  # results were due, and silence is no success


@dataclass(frozen=True, slots=True)
class Told:
    """One result file. `rivals` are other files (expected) that its events may mean just as well where they name none."""

    sha256: str
    path: Path
    rivals: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Matched:
    """One row of MATCHED per expected payment, in file order, and what became of the events."""

    rows: pa.Table
    differing: list[dict[str, Any]]  # mismatched rows with what was reported
    duplicates: list[dict[str, Any]]
    unknown: list[dict[str, Any]]
    settled: list[dict[str, Any]]  # rows with a final positive event, among those whose assignment is closed
    uses: dict[str, dict[str, int]]  # result sha256 -> applied, duplicate, unknown


def match_file(
    engine: Any,
    expected: Path,
    reported: Sequence[Told],
    *,
    names: tuple[str, str, int],
    terms: Terms,
    closed: bool | Collection[str] = False,
) -> Matched:
    """`names` is our file by name, message id and sequence.

    `closed` asks for the payments that were settled all the same: of the whole file, or among those listed (payment_id).
    """
    engine.register("empty_reported", pa.table([pa.array([], each.type) for each in REPORTED], schema=REPORTED))
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE expected AS SELECT {EXPECTED_COLUMNS} FROM read_parquet(?)", [str(expected)]
    )
    engine.execute(f"CREATE OR REPLACE TEMP TABLE stage(status, stage) AS VALUES {POSITIVE}")  # a table of constants
    engine.execute(_events_sql(reported, names))
    outcome = engine.execute(_outcome_sql(terms, bool(closed))).to_arrow_table()
    uses: dict[str, dict[str, int]] = {}
    for sha, use, count in engine.execute("SELECT sha, use, count(*) FROM event GROUP BY ALL ORDER BY ALL").fetchall():
        uses.setdefault(sha, {})[use] = count
    return Matched(
        rows=outcome.select(MATCHED.names).cast(MATCHED),
        differing=outcome.filter(outcome["kind"].is_valid()).to_pylist(),
        duplicates=_dicts(engine, "SELECT * FROM event WHERE use = 'duplicate' ORDER BY sha, line"),
        unknown=_dicts(engine, "SELECT * FROM event WHERE use = 'unknown' ORDER BY sha, line"),
        settled=_settled(outcome, closed),
        uses=uses,
    )


def _settled(outcome: pa.Table, closed: bool | Collection[str]) -> list[dict[str, Any]]:
    if not closed:
        return []
    rows = outcome.filter(outcome["settled"])
    if closed is not True:
        rows = rows.filter(pc.is_in(rows["payment_id"], pa.array(sorted(closed), pa.string())))
    found: list[dict[str, Any]] = rows.to_pylist()
    return found


def _dicts(engine: Any, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.execute(sql).to_arrow_table().to_pylist()
    return found


def _events_sql(reported: Sequence[Told], names: tuple[str, str, int]) -> str:
    """Every event of the given result files that names this file, or names none and knows the reference."""
    name, message, sequence = names
    named = (
        f"coalesce(original_msg_id = {literal(message)}, original_file = {literal(name)}, "
        f"original_sequence = {int(sequence)}, false)"
    )
    parts = [
        f"SELECT {literal(each.sha256)} AS sha, {_shared(each)} AS shared, * FROM read_parquet({literal(str(each.path))})"
        for each in sorted(reported, key=lambda each: each.sha256)
    ] or ["SELECT ''::VARCHAR AS sha, false AS shared, * FROM empty_reported"]
    return f"""
    CREATE OR REPLACE TEMP TABLE event AS
    WITH told AS ({" UNION ALL ".join(parts)}),
    mine AS (
        SELECT sha, told.line, trim(end_to_end_id) AS end_to_end_id, status, stage, reason_code, amount_minor, currency,
            direction, requested_date, creditor_account, acquirer_reference, stated_at, original_file,
            {NAMED_NOTHING} AS unnamed
        FROM told LEFT JOIN stage USING (status)
        WHERE level = 'TX' AND error IS NULL AND ({named} OR ({NAMED_NOTHING} AND NOT shared))
    ),
    placed AS MATERIALIZED (
        SELECT mine.*, expected.line AS place
        FROM mine LEFT JOIN expected ON mine.end_to_end_id = expected.end_to_end_id
        WHERE expected.line IS NOT NULL OR NOT unnamed
    ),
    -- Most payments are told of once. Only the others need an order, and their copies counted.
    several AS (SELECT place FROM placed WHERE place IS NOT NULL GROUP BY place HAVING count(*) > 1)
    SELECT *, CASE WHEN place IS NULL THEN 'unknown' ELSE 'applied' END AS use, 0::BIGINT AS turn, false AS several
    FROM placed WHERE place IS NULL OR place NOT IN (FROM several)
    UNION ALL
    SELECT * EXCLUDE (copy), CASE WHEN copy > 1 THEN 'duplicate' ELSE 'applied' END AS use,
        row_number() OVER (ORDER BY stated_at NULLS FIRST, stage NULLS LAST, sha, line) AS turn, true AS several
    FROM (
        SELECT *, row_number() OVER (
                PARTITION BY place, status, amount_minor, currency, direction
                ORDER BY stated_at NULLS FIRST, sha, line
            ) AS copy
        FROM placed WHERE place IN (FROM several)
    )
    """


def _shared(told: Told) -> str:
    """Whether an event without names could mean another assignment just as well: then it is ambiguous, and not ours."""
    if not told.rivals:
        return "false"
    paths = ", ".join(literal(str(each)) for each in told.rivals)
    return f"trim(end_to_end_id) IN (SELECT end_to_end_id FROM read_parquet([{paths}]))"


def _folded_sql() -> str:
    """One row per payment with events: how far it came, what was said against it, and the last figures stated."""
    refused = ", ".join(literal(each) for each in REFUSALS)
    return f"""
    SELECT place, 1::INTEGER AS events, stage, status IN ({refused}) AS rejected, status = 'RTRN' AS returned,
        status AS last_status, CASE WHEN stage IS NULL THEN status END AS against, reason_code,
        amount_minor AS reported_minor, currency AS reported_currency, direction AS reported_direction,
        requested_date AS reported_date, creditor_account AS reported_account, acquirer_reference,
        sha AS result_sha256
    FROM event WHERE use = 'applied' AND NOT several
    UNION ALL
    SELECT place,
        count(*)::INTEGER AS events,
        max(stage) AS stage,
        bool_or(status IN ({refused})) AS rejected,
        bool_or(status = 'RTRN') AS returned,
        arg_max(status, turn) AS last_status,
        arg_max(status, turn) FILTER (stage IS NULL) AS against,
        arg_max(reason_code, turn) FILTER (reason_code IS NOT NULL) AS reason_code,
        arg_max(amount_minor, turn) FILTER (amount_minor IS NOT NULL) AS reported_minor,
        arg_max(currency, turn) FILTER (currency IS NOT NULL) AS reported_currency,
        arg_max(direction, turn) FILTER (direction IS NOT NULL) AS reported_direction,
        arg_max(requested_date, turn) FILTER (requested_date IS NOT NULL) AS reported_date,
        arg_max(creditor_account, turn) FILTER (creditor_account IS NOT NULL) AS reported_account,
        arg_max(acquirer_reference, turn) FILTER (acquirer_reference IS NOT NULL) AS acquirer_reference,
        arg_max(sha, turn) AS result_sha256
    FROM event WHERE use = 'applied' AND several GROUP BY place
    """


_CONDITIONS: dict[MismatchKind, str] = {
    MismatchKind.STATUS_CONFLICT: "rejected AND settled",
    MismatchKind.RETURNED: "returned",
    MismatchKind.STATUS_REJECTED: "rejected",
    MismatchKind.CURRENCY_DIFFERS: "reported_currency <> currency",
    MismatchKind.DIRECTION_DIFFERS: "reported_direction <> direction",
    MismatchKind.AMOUNT_DIFFERS: "abs(reported_minor::HUGEINT - amount_minor) > tolerance",
    MismatchKind.ACCOUNT_DIFFERS: "reported_account <> creditor_account",
    MismatchKind.DATE_DIFFERS: "reported_date <> requested_date",
    MismatchKind.MISSING_AT_ACQUIRER: "events = 0 AND overdue AND NOT implicit",
}


def _outcome_sql(terms: Terms, closed: bool) -> str:
    """One outcome per expected payment, in file order: the first kind of the precedence that applies, else matched or awaiting."""
    final = STAGE_OF_STATUS[EventStatus(terms.final_status)]
    kinds = [kind for kind in PAIR_PRECEDENCE if kind in _CONDITIONS]
    cases = " ".join(f"WHEN {_CONDITIONS[kind]} THEN '{kind}'" for kind in kinds)
    return f"""
    WITH folded AS ({_folded_sql()}),
    joined AS (
        SELECT expected.*, folded.* REPLACE (coalesce(folded.events, 0) AS events),
            coalesce(folded.stage >= {final}, false) AS settled,
            {int(terms.tolerance_minor)} AS tolerance, {terms.implicit} AS implicit, {terms.overdue} AS overdue
        FROM expected LEFT JOIN folded ON folded.place = expected.line
    ),
    judged AS (SELECT *, CASE {cases} END AS kind FROM joined)
    SELECT line, payment_id, end_to_end_id, row_hash, direction, amount_minor, currency,
        CASE WHEN kind IS NOT NULL THEN 'mismatched' WHEN settled OR (events = 0 AND implicit) THEN 'matched'
            ELSE 'awaiting' END AS outcome,
        CASE WHEN kind IS NOT NULL THEN kind
            WHEN settled AND reported_minor <> amount_minor THEN '{MatchResult.MATCHED_WITHIN_TOLERANCE}'
            WHEN settled THEN '{MatchResult.MATCHED}'
            WHEN events = 0 AND implicit THEN '{MatchResult.MATCHED_IMPLICITLY}'
            ELSE last_status END AS how,
        coalesce(against, last_status) AS status, last_status,
        reason_code, reported_minor, reported_currency, acquirer_reference, events::INTEGER AS events,
        kind, settled, reported_direction, reported_date,
        CASE WHEN kind IS NOT NULL OR settled AND {closed} THEN result_sha256 END AS result_sha256,
        CASE WHEN kind IS NOT NULL THEN {_differing()} END AS differing
    FROM judged ORDER BY line
    """


def _differing() -> str:
    """Every kind that applies to a row, not only the first."""
    found = ", ".join(f"CASE WHEN {condition} THEN '{kind}' END" for kind, condition in _CONDITIONS.items())
    return f"list_filter([{found}], kind -> kind IS NOT NULL)"
