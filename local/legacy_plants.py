"""What is planted in the sample, in which share, and what must become of it: one entry per kind.

The shares and expectations here are the whole truth of the sample source: every other payment is good and has one row.
Codes are ISO 20022 external status reason codes, as curation states them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from local.legacy_accounts import bank_of, ibans, with_wrong_check
from local.legacy_names import CITIES, CLERK_NOTES, NOT_SEPA_NAMES
from local.legacy_sample import DATE_FORMAT, Row

Alter = Callable[[Row, int], Row]
"""Changes a row; the number, drawn by seed, chooses among the variations of a kind."""

TERM_OF_OUTCOME = {
    "quarantined": "quarantined",
    "superseded": "superseded",
    "unchanged": "unchanged",
    "withdrawn": "withdrawn",
    "recall_needed": "withdrawn",
    "changed_after_sealed": "unassigned",
    "future_dated": "unassigned",
    "duplicate": "duplicate",
    "quarantined_or_duplicate": "quarantined_or_duplicate",
}
"""The term of the books (I1) that counts a row with this outcome. A repeated reference is found by curation when both rows
are in one chunk and by assembly otherwise, so only the sum of two terms is known beforehand."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of planted thing. `outcome` is what becomes of the altered row, `first_outcome` of the row before it.

    Shapes: `row`: the payment's only row is altered; `version`: an altered further revision follows; `twin`: another
    payment's reference is taken. `later`: that revision or twin is written after the other was extracted and sent.
    """

    name: str
    share: float
    outcome: str
    alter: Alter
    codes: tuple[str, ...] = ()
    shape: Literal["row", "version", "twin"] = "row"
    later: bool = False
    first_outcome: str = ""


def _set(row: Row, column: str, value: str | None) -> Row:
    return Row(**{**row._asdict(), column: value})


def _one_of(column: str, *values: str | None) -> Alter:
    return lambda row, number: _set(row, column, values[number % len(values)])


def _wrong_length(row: Row, number: int) -> Row:
    account = row.payee_acct
    return row._replace(payee_acct=account[:-1] if number % 2 else account + "0")


def _bad_agent(row: Row, number: int) -> Row:
    bic = row.payee_bic[:8]
    return row._replace(payee_bic=(bic[:7], bic + "9", bic[:4] + "12" + bic[6:], bic[:3] + "-" + bic[4:])[number % 4])


def _not_allowed(row: Row, number: int) -> Row:
    return row._replace(ccy=("SEK", "pln")[number % 2], amt=f"{number % 9_000 + 1}.50")


def _decimals(row: Row, number: int) -> Row:
    """Three decimals in a currency that has two; the last is never zero, which would be harmless."""
    return row._replace(ccy="EUR", amt=f"{number % 90_000 + 1}.{number % 100:02d}{number % 9 + 1}")


def _foreign_letters(row: Row, number: int) -> Row:
    name = NOT_SEPA_NAMES[number % len(NOT_SEPA_NAMES)]
    column = ("payee_nm", "debtor_nm", "note")[number // len(NOT_SEPA_NAMES) % 3]
    return _set(row, column, name)


def _in_days(first: int, last: int) -> Alter:
    """Asked for between `first` and `last` days from the row's own day on (negative: before it)."""

    def alter(row: Row, number: int) -> Row:
        day = datetime.strptime(row.entered_at[:10], "%Y-%m-%d").date()  # noqa: DTZ007  (a local day, not an instant)
        day += timedelta(days=first + number % (last - first + 1))
        return row._replace(exec_dt=day.strftime(DATE_FORMAT))

    return alter


def _corrected(row: Row, number: int) -> Row:
    """Another amount, or another account of the payee at the same bank (so that the route stays the same)."""
    if number % 3:
        whole, point, fraction = row.amt.partition(".")
        return row._replace(amt=f"{int(whole) + 1 + number % 500}{point}{fraction}")
    bank = bank_of(row.payee_acct)
    changed = (int(row.payee_acct[-bank.digits :]) + 1) % 10**bank.digits
    return row._replace(payee_acct=ibans(bank, [changed])[0])


def _touched(row: Row, number: int) -> Row:
    """Other columns only: nothing of the payment changes."""
    note = CLERK_NOTES[(CLERK_NOTES.index(row.clerk_note) + 1) % len(CLERK_NOTES)]
    return row._replace(branch_city=CITIES[number % len(CITIES)], clerk_note=note)


def _as_is(row: Row, number: int) -> Row:  # noqa: ARG001  (an Alter that leaves the row alone)
    return row


_BAD = "quarantined"
KINDS: tuple[Kind, ...] = (
    Kind("iban_check_digit", 0.0010, _BAD, lambda row, _: row._replace(payee_acct=with_wrong_check(row.payee_acct)), ("AC03",)),
    Kind("iban_length", 0.0005, _BAD, _wrong_length, ("AC03",)),
    Kind("debtor_iban", 0.0005, _BAD, lambda row, _: row._replace(debtor_acct=with_wrong_check(row.debtor_acct)), ("AC02",)),
    Kind("bic_malformed", 0.0005, _BAD, _bad_agent, ("RC01",)),
    Kind("currency_unknown", 0.0005, _BAD, _one_of("ccy", "EUX", "ZZZ", "E", "978"), ("AM11",)),
    Kind("currency_not_allowed", 0.0003, _BAD, _not_allowed, ("AM03",)),
    Kind("direction_unknown", 0.0003, _BAD, _one_of("drcr", "X", "?"), ("CH16",)),
    Kind("amount_zero", 0.0005, _BAD, _one_of("amt", "0", "0.00"), ("AM01",)),
    Kind("amount_negative", 0.0005, _BAD, lambda row, _: row._replace(amt=f"-{row.amt}"), ("AM12",)),
    Kind("amount_not_a_number", 0.0005, _BAD, _one_of("amt", "12,34", "1.234,56", "1 000", "n/a", "0x1F", "1e21"), ("AM12",)),
    Kind("amount_decimals", 0.0005, _BAD, _decimals, ("CH20",)),
    Kind("amount_decimals_jpy", 0.0003, _BAD, lambda row, n: row._replace(ccy="JPY", amt=f"{n % 9_000 + 1}.5"), ("CH20",)),
    Kind("creditor_name_missing", 0.0005, _BAD, _one_of("payee_nm", "", None, "   "), ("BE22",)),
    Kind("date_unreadable", 0.0005, _BAD, _one_of("exec_dt", "31.02.2026", "2026-03-02", "03/02/2026", "heute"), ("DT01",)),
    Kind("date_long_past", 0.0005, _BAD, _in_days(-3000, -500), ("CH04",)),
    Kind("date_too_far_ahead", 0.0003, _BAD, _in_days(500, 3000), ("CH03",)),
    Kind("characters", 0.0050, _BAD, _foreign_letters, ("RR10",)),
    Kind("reference_too_long", 0.0003, _BAD, lambda row, _: row._replace(order_ref=f"{row.order_ref}-{'9' * 24}"), ("FF08",)),
    Kind("reference_missing", 0.0003, _BAD, _one_of("order_ref", "", None), ("FF08",)),
    Kind("future_dated", 0.0030, "future_dated", _in_days(7, 60)),
    Kind("changed_before_sealing", 0.0020, "", _corrected, shape="version", first_outcome="superseded"),
    Kind("touched_before_sealing", 0.0020, "unchanged", _touched, shape="version"),
    Kind("stopped_before_sealing", 0.0010, "withdrawn", _one_of("state", "S"), shape="version", first_outcome="superseded"),
    Kind("changed_after_sealing", 0.0010, "changed_after_sealed", _corrected, shape="version", later=True),
    Kind("touched_after_sealing", 0.0010, "unchanged", _touched, shape="version", later=True),
    Kind("stopped_after_sealing", 0.0010, "recall_needed", _one_of("state", "S"), shape="version", later=True),
    Kind("reference_repeated", 0.0010, "quarantined_or_duplicate", _as_is, ("DU04",), shape="twin"),
    Kind("reference_repeated_later", 0.0010, "duplicate", _as_is, shape="twin", later=True),
)  # fmt: skip
