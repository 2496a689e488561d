"""The ordinary payments of the sample: drawn by seed as columns of numbers, turned into journal rows block by block.

One million payments stay a few arrays of integers; text is made only for the block that is being written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from local.legacy_accounts import BANKS, WEIGHTS, ibans
from local.legacy_names import CITIES, CLERK_NOTES, PURPOSES, REMITTANCES, trading_name
from payments.books import Total

ZONE = ZoneInfo("Europe/Berlin")
DATE_FORMAT = "%d.%m.%Y"
CURRENCIES = (("EUR", 2, 0.86), ("USD", 2, 0.06), ("GBP", 2, 0.04), ("JPY", 0, 0.02), ("KWD", 3, 0.02))
"""Code, decimals, share of payments."""
DIRECTIONS = {"CRDT": ("C", "C", "c", "Cr", "CR"), "DBIT": ("D", "D", "d", "Dr", "DR")}
DEBIT_SHARE = 0.1
FIRST_RUN_SHARE = 0.8
FIRST_WINDOW = timedelta(hours=12)
AFTER_RUN, BEFORE_RUN = timedelta(seconds=60), timedelta(seconds=180)
"""First revisions keep this far from an extraction, so that one that starts late still finds the same rows."""

Ints = NDArray[np.int64]


class Row(NamedTuple):
    """One row of PAYMENT_JOURNAL; the columns are these names in capitals."""

    pay_no: str
    rev_no: int
    chg_ts: int
    entered_at: str
    order_ref: str | None
    drcr: str
    amt: str
    ccy: str
    exec_dt: str
    debtor_nm: str
    debtor_acct: str
    debtor_bic: str
    payee_nm: str | None
    payee_acct: str
    payee_bic: str
    purp: str
    note: str
    state: str
    branch_city: str
    clerk_note: str


class Parties(NamedTuple):
    """Names, accounts and BICs of the same length: object arrays that rows index."""

    names: NDArray[np.object_]
    accounts: NDArray[np.object_]
    agents: NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Sample:
    """The drawn columns: one entry per payment, ordered by time of entry (`changed_s`, seconds since 1970, UTC)."""

    start: datetime
    slot: Ints  # ordinal of the extraction that first sees the payment
    changed_s: Ints
    amount_minor: Ints
    currency: Ints
    debit: Ints
    debtor: Ints
    payee: Ints
    variety: Ints  # chooses spellings, texts and dates
    debtors: Parties
    payees: Parties

    def __len__(self) -> int:
        return len(self.slot)


def draw(rng: np.random.Generator, *, payments: int, start: datetime, runs_at: Sequence[datetime]) -> Sample:
    """Draw the ordinary payments: most of them entered before the first extraction, the rest before later ones."""
    later = len(runs_at) - 1
    shares = [FIRST_RUN_SHARE, *[(1 - FIRST_RUN_SHARE) / later] * later] if later else [1.0]
    slot = np.sort(rng.choice(len(runs_at), size=payments, p=shares))
    opens = np.array([(start - FIRST_WINDOW).timestamp(), *[(at + AFTER_RUN).timestamp() for at in runs_at[:-1]]])
    closes = np.array([(at - BEFORE_RUN).timestamp() for at in runs_at])
    # Whole seconds: a journal this coarse has many rows of one instant, which a keyset reader must not lose.
    changed = np.sort(rng.integers(opens.astype(np.int64)[slot], closes.astype(np.int64)[slot]))
    currency = rng.choice(len(CURRENCIES), size=payments, p=[share for _, _, share in CURRENCIES])
    amount = np.clip(rng.lognormal(9.5, 1.4, size=payments), 1, 5e8).astype(np.int64)
    debtors, payees = max(20, min(payments // 20, 5_000)), max(50, min(payments // 3, 60_000))
    return Sample(
        start=start,
        slot=slot,
        changed_s=changed,
        amount_minor=amount,
        currency=currency,
        debit=(rng.random(payments) < DEBIT_SHARE).astype(np.int64),
        debtor=rng.integers(debtors, size=payments),
        payee=rng.integers(payees, size=payments),
        variety=rng.integers(1 << 30, size=payments),
        debtors=_parties(rng, debtors, first=0),
        payees=_parties(rng, payees, first=debtors),
    )


def _parties(rng: np.random.Generator, count: int, *, first: int) -> Parties:
    weights = np.array([WEIGHTS.get(bank.country, 1) for bank in BANKS], dtype=np.float64)
    bank_of = rng.choice(len(BANKS), size=count, p=weights / weights.sum())
    accounts = np.empty(count, dtype=np.object_)
    for ordinal, bank in enumerate(BANKS):
        here = np.flatnonzero(bank_of == ordinal)
        accounts[here] = ibans(bank, rng.integers(10**bank.digits, size=len(here)).tolist())
    names = np.array([trading_name(first + ordinal) for ordinal in range(count)], dtype=np.object_)
    agents = np.array([bank.bic for bank in BANKS], dtype=np.object_)[bank_of]
    return Parties(names, accounts, agents)


def rows(sample: Sample, begin: int, end: int) -> list[tuple[Any, ...]]:
    """The first revisions of payments `begin` to `end`, as tuples in the order of `Row`."""
    part = slice(begin, end)
    variety, currency, seconds = sample.variety[part], sample.currency[part], sample.changed_s[part]
    debtor, payee, numbers = sample.debtor[part], sample.payee[part], range(begin + 1, begin + 1 + len(variety))
    spelled = _table([form for code, _, _ in CURRENCIES for form in (code, code, code.lower(), code.title())])
    coded = _table([form for forms in DIRECTIONS.values() for form in forms])
    days = _table([(sample.start - timedelta(days=age)).astimezone(ZONE).strftime(DATE_FORMAT) for age in (0, 0, 1, 3)])
    columns = (
        [f"P{number:010d}" for number in numbers],
        repeat(1),
        (seconds * 1000).tolist(),
        local_times(seconds),
        [f"ORD-26-{number:09d}" for number in numbers],
        coded[sample.debit[part] * 5 + variety % 5].tolist(),
        list(map(amount_text, sample.amount_minor[part].tolist(), _decimals()[currency].tolist())),
        spelled[currency * 4 + variety // 5 % 4].tolist(),
        days[variety // 20 % len(days)].tolist(),
        *(column[debtor].tolist() for column in sample.debtors),
        *(column[payee].tolist() for column in sample.payees),
        _chosen(PURPOSES, variety // 80),
        [REMITTANCES[number % len(REMITTANCES)].format(n=number) for number in numbers],
        repeat("A"),
        _chosen(CITIES, variety // 560),
        _chosen(CLERK_NOTES, variety // 10_080),
    )
    return list(zip(*columns, strict=False))  # constants repeat without end


def total(sample: Sample, chosen: NDArray[np.bool_]) -> Total:
    """Count and sums of the chosen ordinary payments; exact, because every amount is an integer."""
    sums: dict[str, int] = {}
    for ordinal, (code, _, _) in enumerate(CURRENCIES):
        for debit, direction in enumerate(DIRECTIONS):
            here = chosen & (sample.currency == ordinal) & (sample.debit == debit)
            sums[f"{code}/{direction}"] = int(sample.amount_minor[here].sum())
    return Total(count=int(chosen.sum()), amount_minor={key: value for key, value in sums.items() if value})


def amount_text(minor: int, decimals: int) -> str:
    """Minor units as the source writes them: `12.50`, or `1250` for a currency without decimals."""
    if not decimals:
        return str(minor)
    scale = 100 if decimals == 2 else 10**decimals
    return f"{minor // scale}.{minor % scale:0{decimals}d}"


def local_times(seconds: Ints) -> list[str]:
    """Seconds since 1970 (UTC) as Berlin's wall time. Offsets are looked up once per hour: they change on the hour."""
    hours, position = np.unique(seconds // 3600, return_inverse=True)
    offsets = np.array([_offset_s(hour * 3600) for hour in hours.tolist()], dtype=np.int64)
    local = (seconds + offsets[position]).astype("datetime64[s]")
    return [text.replace("T", " ") for text in np.datetime_as_string(local).tolist()]


def _offset_s(second: int) -> int:
    offset = datetime.fromtimestamp(second, UTC).astimezone(ZONE).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def _decimals() -> Ints:
    return np.array([decimals for _, decimals, _ in CURRENCIES], dtype=np.int64)


def _table(values: Sequence[str]) -> NDArray[np.object_]:
    return np.array(values, dtype=np.object_)


def _chosen(values: Sequence[str], index: Ints) -> list[Any]:
    return list(_table(values)[index % len(values)].tolist())
