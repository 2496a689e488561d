"""The SQL of a compare of two files, built from column places and quoted text only: every function returns one statement.

The order of things, narrow first:

    rows of LEFT --+-- sums of each side (count, sums per currency and direction)
    rows of RIGHT -+-- odd: key hashes that are not exactly one row on each side with equal values
                        |
         left_odd, right_odd: only rows with an odd key hash or a null key, with all their columns
                        |
                      pairs: joined on the exact keys, one kind each, null where the pair agrees, and all extra copies

A pair is passed over without a look at its values only when a 64-bit hash of key and values agrees on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence

from payments.states import PAIR_PRECEDENCE, MismatchKind
from reconciliation.compare_columns import Column, Field, Plan
from reconciliation.compare_inputs import Input
from reconciliation.compare_scan import LINE_BYTES_MAX

MARK = 0x9E3779B97F4A7C15
"""Set off against the hash of every right row: one row of each side with equal values leaves exactly this."""

BUFFER_BYTES = 4 * LINE_BYTES_MAX  # the least the engine takes; its own choice of 32 MB costs memory and no less time
SIDES = (("l", "left"), ("r", "right"))
REJECTED, RETURNED = ("RJCT", "REJECTED"), ("RTRN", "RETURNED")

MACROS = (
    # Outer blanks never count, and empty text is no value. Both sort before the first visible character: one quick test.
    """CREATE TEMP MACRO tie_text(x) AS CASE WHEN x < '!' OR suffix(x, ' ') THEN nullif(trim(x, ' '), '') ELSE x END""",
    # A number is an optional sign, digits, optionally a point and digits; `1e3` and `12,34` stay text.
    "CREATE TEMP MACRO tie_is_number(x) AS regexp_full_match(x, '[+-]?[0-9]+([.][0-9]+)?')",
    """CREATE TEMP MACRO tie_unpadded(x) AS CASE WHEN suffix(x, '0') AND contains(x, '.')
        THEN rtrim(rtrim(x, '0'), '.') ELSE x END""",
    r"""CREATE TEMP MACRO tie_unsigned_zeros(x) AS
        regexp_replace(regexp_replace(x, '^[+]?(-?)0*([0-9])', '\1\2'), '^-0$', '0')""",
    # Most numbers come in their shortest form already: the first test spares them the rest.
    """CREATE TEMP MACRO tie_number(x) AS CASE
        WHEN regexp_full_match(x, '0|-?[1-9][0-9]*([.][0-9]*[1-9])?') THEN x
        WHEN tie_is_number(x) THEN tie_unsigned_zeros(tie_unpadded(x)) ELSE x END""",
    # Dates of ISO 8601 in both forms; a time of midnight is the date.
    "CREATE TEMP MACRO tie_dashes(x) AS x[1:4] || '-' || x[5:6] || '-' || x[7:8]",
    """CREATE TEMP MACRO tie_date(x) AS CASE WHEN length(x) = 10 THEN x
        WHEN regexp_full_match(x, '[0-9]{8}') AND TRY_CAST(tie_dashes(x) AS DATE) IS NOT NULL THEN tie_dashes(x)
        WHEN regexp_full_match(x, '[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]00:00(:00([.]0+)?)?(Z|[+-]00(:?00)?)?')
            AND TRY_CAST(x[1:10] AS DATE) IS NOT NULL THEN x[1:10] ELSE x END""",
    "CREATE TEMP MACRO tie_moment(x) AS coalesce(CAST(TRY_CAST(x AS TIMESTAMP WITH TIME ZONE) AS VARCHAR), x)",
    "CREATE TEMP MACRO tie_flag(x) AS lower(x)",
    # A spreadsheet reads a cell that begins like this as a formula, full-width twins included; a number it may keep.
    r"""CREATE TEMP MACRO tie_cell(x) AS CASE
        WHEN regexp_matches(x, '^[=+@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}-]') AND NOT tie_is_number(x)
        THEN '''' || x ELSE x END""",
)


def literal(text: str) -> str:
    """Text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def rows(source: Input, columns: Sequence[Column], *, numbered: bool = False) -> str:
    """The file as a table: `r<index>` for each of these columns; `n`, the data row from 1, where `numbered`."""
    path = literal(str(source.path))
    if source.scan is None:
        taken = [f"{identifier(column.name)} AS r{column.index}" for column in columns]
        number = ["file_row_number + 1 AS n"] if numbered else []
        options = ", file_row_number = true" if numbered else ""
        return f"SELECT {', '.join([*number, *taken]) or '1'} FROM read_parquet({path}{options})"
    types = ", ".join(f"'r{column.index}': 'VARCHAR'" for column in source.columns)
    options = (
        f"auto_detect = false, header = true, strict_mode = true, delim = {literal(source.delimiter)}, quote = '\"', "
        f"escape = '\"', columns = {{{types}}}, max_line_size = {LINE_BYTES_MAX}, buffer_size = {BUFFER_BYTES}"
    )
    if source.scan.quoted_line_ends:  # a value over several lines could be cut between two readers
        options += ", parallel = false"
    taken = [f"r{column.index}" for column in columns]
    number = ["row_number() OVER () AS n"] if numbered else []
    given = f"SELECT {', '.join([*number, *taken]) or '1'} FROM read_csv({path}, {options})"
    # A blank line is no row; only in a file of one column does the engine take it for one.
    return f"SELECT * FROM ({given}) WHERE r0 IS NOT NULL" if len(source.columns) == 1 and taken else given


def canonical(column: Column, field: Field) -> str:
    """A value in the one spelling in which both sides are compared; null for an empty one."""
    expression = f"r{column.index}"
    if field.rules == ("native",):
        return expression
    if column.type != "VARCHAR":
        expression = f"CAST({expression} AS VARCHAR)"
    for rule in field.rules:
        expression = f"tie_{rule}({expression})"
    return expression


def side_columns(plan: Plan, side: str) -> list[Column]:
    """All columns of one side that the compare needs, each once."""
    sums = plan.left_sums if side == "left" else plan.right_sums
    columns = [getattr(field, side) for field in (*plan.key, *plan.compared)]
    if sums is not None:
        columns += [column for column in (sums.amount, sums.currency, sums.direction) if column is not None]
    return list({column.index: column for column in columns}.values())


def _spelled(plan: Plan, side: str) -> list[str]:
    keys = [f"{canonical(getattr(field, side), field)} AS k{at}" for at, field in enumerate(plan.key)]
    return keys + [f"{canonical(getattr(field, side), field)} AS v{at}" for at, field in enumerate(plan.compared)]


def _key_hash(plan: Plan) -> str:
    """Zero gathers the rows whose key is null in any part: they never match."""
    names = [f"k{at}" for at in range(len(plan.key))]
    absent = " OR ".join(f"{name} IS NULL" for name in names)
    return f"CASE WHEN {absent} THEN 0::UBIGINT ELSE hash({', '.join(names)}) END"


def odd(plan: Plan, left: Input, right: Input) -> str:
    """Key hashes whose rows are not one on each side with equal values."""
    names = ", ".join([*(f"k{at}" for at in range(len(plan.key))), *(f"v{at}" for at in range(len(plan.compared)))])
    hashed = [
        f"SELECT {_key_hash(plan)} AS k, {value} AS h FROM "
        f"(SELECT {', '.join(_spelled(plan, side))} FROM ({rows(source, side_columns(plan, side))}))"
        for side, source, value in (
            ("left", left, f"hash({names})"),
            ("right", right, f"xor(hash({names}), {MARK}::UBIGINT)"),
        )
    ]
    return (
        f"CREATE TEMP TABLE odd AS SELECT k FROM ({' UNION ALL '.join(hashed)}) GROUP BY k "
        f"HAVING k = 0 OR count(*) <> 2 OR bit_xor(h) <> {MARK}::UBIGINT"
    )


def read_through(plan: Plan, side: str, source: Input) -> str:
    """Reads every value of one side and keeps none."""
    columns = side_columns(plan, side)
    names = ", ".join(f"r{column.index}" for column in columns)
    return f"SELECT bit_xor(hash({names})) FROM ({rows(source, columns)})"


def odd_rows(plan: Plan, side: str, source: Input) -> str:
    """The rows with an odd key hash, whole: n, k0.., r<index>.. in the types of the file."""
    columns = side_columns(plan, side)
    keys = ", ".join(_spelled(plan, side)[: len(plan.key)])
    return (
        f"CREATE TEMP TABLE {side}_odd AS SELECT * FROM (SELECT *, {keys} FROM ({rows(source, columns, numbered=True)})) "
        f"WHERE {_key_hash(plan)} IN (SELECT k FROM odd)"
    )


def firsts(plan: Plan, side: str) -> str:
    """The first row of each key in the order of the file; the others are extra copies."""
    keys = ", ".join(f"k{at}" for at in range(len(plan.key)))
    present = " AND ".join(f"k{at} IS NOT NULL" for at in range(len(plan.key)))
    return f"CREATE TEMP TABLE {side}_first AS SELECT min(n) AS n FROM {side}_odd WHERE {present} GROUP BY {keys}"


def pairs(plan: Plan) -> str:
    """left_n, right_n, kind (null: they agree), fields (names, a list), l<i> and r<i> (values as given), extra copies left out.

    The exact keys are joined here, so two keys with one hash do no harm. A null key equals nothing and stays alone.
    """
    on = " AND ".join(f"l.k{at} = r.k{at}" for at in range(len(plan.key)))
    names = [
        f"CASE WHEN l.v{at} IS DISTINCT FROM r.v{at} THEN {literal(f.name)} END" for at, f in enumerate(plan.compared)
    ]
    differing = f"list_filter([{', '.join(names)}]::VARCHAR[], lambda name: name IS NOT NULL)"
    fields = f"CASE WHEN l.n IS NULL OR r.n IS NULL THEN []::VARCHAR[] ELSE {differing} END"
    given = [
        f"{mark}.r{column.index} AS {mark}{column.index}" for mark, side in SIDES for column in side_columns(plan, side)
    ]
    sides = []
    for _, side in SIDES:
        keys = _spelled(plan, side)[len(plan.key) :]
        absent = " OR ".join(f"k{at} IS NULL" for at in range(len(plan.key)))
        sides.append(
            f"(SELECT {', '.join(['*', *keys])} FROM {side}_odd WHERE {absent} OR n IN (SELECT n FROM {side}_first))"
        )
    return (
        f"CREATE TEMP TABLE pairs AS SELECT l.n AS left_n, r.n AS right_n, CASE {_kinds(plan)} END AS kind, {fields} AS fields, "
        f"{', '.join(given)} FROM {sides[0]} l FULL JOIN {sides[1]} r ON {on}"
    )


def extra_copies(plan: Plan, mark: str, side: str, kind: MismatchKind) -> str:
    """Add to `pairs` each row of this side that is not the first with its key."""
    given = [f"r{column.index} AS {mark}{column.index}" for column in side_columns(plan, side)]
    present = " AND ".join(f"k{at} IS NOT NULL" for at in range(len(plan.key)))
    return (
        f"INSERT INTO pairs BY NAME SELECT n AS {side}_n, {literal(kind)} AS kind, []::VARCHAR[] AS fields, {', '.join(given)} "
        f"FROM {side}_odd WHERE {present} AND n NOT IN (SELECT n FROM {side}_first)"
    )


def _kinds(plan: Plan) -> str:
    """WHEN ... THEN ... in the order of PAIR_PRECEDENCE; duplicates, which come before all of these, never get here."""
    conditions: dict[MismatchKind, list[str]] = {
        MismatchKind.MISSING_AT_ACQUIRER: ["r.n IS NULL"],
        MismatchKind.UNKNOWN_TO_US: ["l.n IS NULL"],
    }
    for at, field in enumerate(plan.compared):
        differs = f"l.v{at} IS DISTINCT FROM r.v{at}"
        if field.kind is not MismatchKind.STATUS_CONFLICT:
            conditions.setdefault(field.kind, []).append(differs)
            continue
        # Two stated statuses conflict. Where ours states none, the acquirer's word says what happened.
        for kind, words in ((MismatchKind.STATUS_REJECTED, REJECTED), (MismatchKind.RETURNED, RETURNED)):
            listed = ", ".join(map(literal, words))
            conditions.setdefault(kind, []).append(f"(l.v{at} IS NULL AND upper(r.v{at}) IN ({listed}))")
        listed = ", ".join(map(literal, REJECTED + RETURNED))
        both = f"({differs} AND NOT (l.v{at} IS NULL AND upper(r.v{at}) IN ({listed})))"
        conditions.setdefault(field.kind, []).append(both)
    return " ".join(
        f"WHEN {' OR '.join(conditions[kind])} THEN {literal(kind)}" for kind in PAIR_PRECEDENCE if kind in conditions
    )
