"""Measure curation of one chunk: Parquet in, curated and quarantine Parquet out, one thread; CPU milliseconds, best of some.

    python benchmarks/curate.py [--rows 100000] [--seed 1]

Prints one JSON line per figure: the floor (the same raw table decoded and encoded, nothing else; and our own output
encoded), each step, and the ratio. 3 % of the rows are bad, and the script checks that exactly those are refused.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable
from datetime import date, timedelta

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.chunk import CuratedChunk, curate_chunk
from curation.encoding import write_parquet
from curation.iban import iban_faults
from curation.iban_countries import BBAN_STRUCTURES, bban_kinds
from curation.reference import ReferenceColumns
from payments.books import Total
from payments.config import Curation, SourceSection
from payments.keys import ChunkKey
from payments.money_columns import read_money
from payments.rowhash import row_identity
from payments.totals import total_of_columns

DAY = date(2026, 3, 2)
COLUMNS = {
    "end_to_end_id": "ORDER_REF",
    "direction": "DRCR",
    "amount": "AMT",
    "currency": "CCY",
    "requested_date": "EXEC_DT",
    "debtor_name": "DEBTOR_NM",
    "debtor_account": "DEBTOR_ACCT",
    "debtor_agent": "DEBTOR_BIC",
    "creditor_name": "PAYEE_NM",
    "creditor_account": "PAYEE_ACCT",
    "creditor_agent": "PAYEE_BIC",
    "remittance_unstructured": "NOTE",
}
SOURCE = msgspec.convert(
    {
        "name": "legacy",
        "url": "sqlite:legacy.db",
        "table": "PAYMENT_JOURNAL",
        "primary_key": ["PAY_NO"],
        "watermark": "CHG_TS",
        "columns": COLUMNS,
        "values": {"direction": {"C": "CRDT", "D": "DBIT", "Cr": "CRDT"}},
        "date_format": "%d.%m.%Y",
    },
    SourceSection,
)
CURATION = msgspec.convert({"route": [{"acquirer": "northbank"}], "currencies": ["EUR", "USD", "JPY"]}, Curation)
KEY = ChunkKey("legacy", DAY, 1, 1)


def account(country: str, random: np.random.Generator) -> str:
    kinds = bban_kinds(BBAN_STRUCTURES[country])
    bban = "".join(
        "ABCDEFGH"[n % 8] if kind == "a" else str(n)
        for kind, n in zip(kinds, random.integers(0, 10, len(kinds)), strict=True)
    )
    number = int("".join(str(int(each, 36)) for each in f"{bban}{country}00"))
    return f"{country}{98 - number % 97:02d}{bban}"


def sample(rows: int, seed: int) -> tuple[pa.Table, int]:
    """A raw chunk of 14 source columns, and how many of its rows are bad."""
    random = np.random.default_rng(seed)
    accounts = [account(country, random) for country in ("DE", "FR", "NL", "IT", "ES") for _ in range(4000)]
    minor = random.integers(1, 5_000_000, rows)
    columns = {
        "PAY_NO": [f"P{number:010d}" for number in range(rows)],
        "CHG_TS": [str(1_772_000_000_000 + 7 * number) for number in range(rows)],
        "ORDER_REF": [f"INV-{number:09d}" for number in range(rows)],
        "DRCR": random.choice(["C", "c", "D", "Cr"], rows).tolist(),
        "AMT": [f"{each // 100}.{each % 100:02d}" for each in minor.tolist()],
        "CCY": random.choice(["EUR", "eur", "USD"], rows).tolist(),
        "EXEC_DT": [f"{DAY + timedelta(days=each):%d.%m.%Y}" for each in random.integers(0, 30, rows).tolist()],
        "DEBTOR_NM": [f"Trading House {each}" for each in random.integers(0, 2000, rows).tolist()],
        "DEBTOR_ACCT": [accounts[each] for each in random.integers(0, 2000, rows).tolist()],
        "DEBTOR_BIC": random.choice(["DEUTDEFF", "COBADEFFXXX", "MARKDEF1100"], rows).tolist(),
        "PAYEE_NM": [f"Payee and Sons {number}" for number in range(rows)],
        "PAYEE_ACCT": [accounts[each] for each in random.integers(0, len(accounts), rows).tolist()],
        "PAYEE_BIC": [f"BANK{'DE' if each % 2 else 'FR'}{each:03d}"[:8] for each in random.integers(0, 90, rows)],
        "NOTE": [f"Invoice {each} of February" for each in minor.tolist()],
    }
    columns["PAYEE_BIC"] = [f"{each[:6]}{each[6:].rjust(2, '0')}" for each in columns["PAYEE_BIC"]]
    bad = random.permutation(rows)[: rows * 3 // 100]
    for place, row in enumerate(bad.tolist()):
        name, value = (("AMT", "12,34"), ("PAYEE_ACCT", "DE00"), ("CCY", "EUX"), ("EXEC_DT", "31.02.2026"))[place % 4]
        columns[name][row] = value
    raw = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    ids, hashes = row_identity(raw, SOURCE)
    return raw.append_column("_payment_id", pa.array(ids)).append_column("_row_hash", hashes), len(bad)


def plainly_encoded(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def encoded(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    write_parquet(table, sink)
    return sink.getvalue()


def decoded(data: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(data), use_threads=False)


def measure(figure: str, rows: int, act: Callable[[], object], repeat: int = 5) -> float:
    act()
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        act()
        best = min(best, time.process_time() - start)
    rate = round(rows / best / 1e6, 3)
    print(json.dumps({"figure": figure, "rows": rows, "cpu_ms": round(best * 1000, 1), "mrows_per_cpu_s": rate}))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    pa.set_cpu_count(1)
    raw, bad = sample(given.rows, given.seed)
    data = plainly_encoded(raw)
    banks = pa.array(sorted({*raw["PAYEE_BIC"].to_pylist()} | {f"OTHR{n:04d}" for n in range(20_000)}), pa.string())
    reference = ReferenceColumns("creditor_agent", banks, banks, required=True)

    def curate(table: pa.Table) -> CuratedChunk:
        return curate_chunk(table, key=KEY, source=SOURCE, curation=CURATION, reference=reference, business_date=DAY)

    def whole() -> None:
        chunk = curate(decoded(data))
        encoded(chunk.curated)
        encoded(chunk.quarantine)

    chunk = curate(raw)
    money = read_money(raw, SOURCE)
    extracted: Total = total_of_columns(money.amount_minor, money.currency, money.direction, raw["_row_hash"])
    assert len(chunk.quarantine) == bad, (len(chunk.quarantine), bad)
    assert extracted == chunk.curated_total + chunk.quarantined_total
    floor = measure("curate: floor, raw decoded and encoded", given.rows, lambda: plainly_encoded(decoded(data)))
    measure(
        "curate: encode curated and quarantine", given.rows, lambda: (encoded(chunk.curated), encoded(chunk.quarantine))
    )
    measure("curate: IBAN check of one column", given.rows, lambda: iban_faults(raw["PAYEE_ACCT"].combine_chunks()))
    measure("curate: row identity (in extract)", given.rows, lambda: row_identity(raw, SOURCE))
    measure("curate: read money (also in extract)", given.rows, lambda: read_money(raw, SOURCE))
    measure("curate: the function alone", given.rows, lambda: curate(raw))
    total = measure("curate: decode, curate, encode", given.rows, whole)
    print(json.dumps({"figure": "curate: ratio to the floor", "ratio": round(total / floor, 2)}))


if __name__ == "__main__":
    main()
