"""Count and sum the rows of a compare exactly: the engine adds up digits, Python turns them into minor units per currency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from payments.books import Total
from payments.currencies import MINOR_UNITS
from payments.errors import Unreadable
from reconciliation import compare_sql as sql
from reconciliation.compare_columns import SumColumns
from reconciliation.compare_engine import translated
from reconciliation.compare_inputs import Input
from reconciliation.compare_scan import records_in

DIGITS_MAX = 30  # 10**8 amounts of 30 digits still fit the engine's 128-bit sum


@dataclass(frozen=True, slots=True)
class Side:
    """What one side holds: `amount_minor` maps `EUR/CRDT` to minor units, `unreadable` counts the rows beside that sum.

    Without an amount and a currency column there is no sum: None.
    """

    count: int
    amount_minor: dict[str, int] | None
    unreadable: int = 0

    @classmethod
    def of(cls, total: Total, columns: SumColumns | None) -> Side:
        if columns is None:
            return cls(total.count, None)
        return cls(total.count, dict(sorted(total.amount_minor.items())), total.unreadable)

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"count": self.count, "amount_minor": self.amount_minor}
        return shown | ({"unreadable": self.unreadable} if self.unreadable else {})


def counted(engine: Any, source: Input, columns: SumColumns | None) -> Total:
    """Count and sums of all rows of one file. Raises Unreadable when the engine saw another number of rows than the scan."""
    with translated(source):
        if columns is None:
            count = engine.execute(f"SELECT count(*) FROM ({sql.rows(source, source.columns)})").fetchone()[0]
            total = Total(count=int(count))
        else:
            taken = [each for each in (columns.amount, columns.currency, columns.direction) if each is not None]
            total = summed(engine, columns, sql.rows(source, taken))
    scan = source.scan
    if scan is not None and len(source.columns) > 1 and (scan.open_quote or total.count != scan.lines - 1):
        # Blank lines are no rows, and a quote inside a value is text. Only if it is neither, rows were lost.
        records = records_in(source.label, source.path, source.delimiter) - 1
        if records != total.count:
            raise Unreadable(f"{source.label}: {total.count} rows were read, but it holds {records}")
    return total


def summed(engine: Any, columns: SumColumns, table: str, mark: str = "r") -> Total:
    """Totals of raw digits become minor units here; a row with more decimals than its currency has is unreadable."""
    count, unreadable, found = 0, 0, dict[str, int]()
    for currency, direction, decimals, rows, digits in engine.execute(_query(columns, table, mark)).fetchall():
        count += rows
        exponent = MINOR_UNITS.get(currency)
        scale = 0 if columns.in_minor_units else exponent
        if exponent is None or scale is None or direction is None or decimals is None or decimals > scale:
            unreadable += rows
            continue
        # Without a column for it the sign is the direction; a Total of ours is then never negative.
        sign = -1 if columns.direction is None and direction == "DBIT" else 1
        name = f"{currency}/{direction}"
        found[name] = found.get(name, 0) + sign * int(digits) * 10 ** (scale - decimals)
    return Total(
        count=count, amount_minor={name: found[name] for name in sorted(found) if found[name]}, unreadable=unreadable
    )


def _query(columns: SumColumns, table: str, mark: str = "r") -> str:
    """currency, direction, decimals, count, total: rows of `table` by what they need to become minor units. `mark` begins its columns.

    A total is the sum of all digits read as one integer; null where the amount is not a number or has more than 30 digits.
    Python turns totals into minor units, because it knows the currencies and cannot overflow.
    """
    amount = f"tie_text(CAST({mark}{columns.amount.index} AS VARCHAR))"
    # More than three letters are no currency: without this a wrong column would give a group for every row.
    currency = f"tie_text(CAST({mark}{columns.currency.index} AS VARCHAR))"
    direction = "CASE WHEN starts_with(a, '-') THEN 'DBIT' ELSE 'CRDT' END"
    if columns.direction is not None:
        direction = f"tie_text(CAST({mark}{columns.direction.index} AS VARCHAR))"
    spelled = f"SELECT *, tie_number({amount}) AS a, {currency} AS c FROM ({table})"
    sorted_out = (
        f"SELECT CASE WHEN strlen(c) = 3 THEN c END AS c, {direction} AS d, tie_is_number(a) AND strlen(a) <= {DIGITS_MAX} AS ok, "
        f"replace(a, '.', '') AS digits, strlen(a) - strlen(digits) AS points, a FROM ({spelled})"
    )
    return (
        "SELECT c, CASE WHEN d IN ('CRDT', 'DBIT') THEN d END AS d, "
        "CASE WHEN NOT ok THEN NULL WHEN points = 0 THEN 0 ELSE strlen(a) - strpos(a, '.') END AS decimals, "
        f"count(*), sum(CASE WHEN ok THEN CAST(digits AS HUGEINT) END) FROM ({sorted_out}) GROUP BY 1, 2, 3"
    )
