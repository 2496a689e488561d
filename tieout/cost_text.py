"""How a bill is shown: a screen for people, one object for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from tieout.cost_bill import TARGET_USD, Bill, Part, Sum
from tieout.cost_limits import limits
from tieout.cost_lines import Job, Line
from tieout.show import table

LARGEST = 8
CENT = Decimal("0.01")


def as_text(job: Job, bill: Bill, measured: Mapping[str, Any]) -> str:
    """Floor and marginal by service, what is largest, a million payments, and everything it rests on."""
    return "\n\n".join((*_head(job, bill), *_million(job, bill), _assumptions(job), _sources(job, measured)))


def _head(job: Job, bill: Bill) -> Iterator[str]:
    yield (
        f"{job.payments_per_day:,} payments a day in {job.prices.region}, sources: {job.sources}, acquirers: "
        f"{job.acquirers}.\nUSD a month of 730 hours, before tax, without free tiers and discounts. An estimate: nothing of it was billed."
    )
    services = sorted(bill.services().items(), key=lambda each: -each[1].total)
    rows = [(name, _money(each.floor), _money(each.marginal), _money(each.total)) for name, each in services]
    total = bill.total
    rows.append(("total", _money(total.floor), _money(total.marginal), _money(total.total)))
    yield table(("SERVICE", "FLOOR", "BY PAYMENTS", "TOTAL"), rows)
    lines = sorted(bill.lines, key=lambda each: -each.total_usd)[:LARGEST]
    shares = [(f"{line.service}: {line.what}", _money(line.total_usd), _share(line, bill)) for line in lines]
    yield table(("LARGEST", "USD", "PERCENT"), shares)


def _million(job: Job, bill: Bill) -> Iterator[str]:
    rows = [
        (
            each.stage,
            f"{each.seconds:.1f}",
            *(f"{usd:.6f}" for usd in (each.compute, each.queue, each.store, each.total)),
        )
        for each in bill.per_million
    ]
    parts = bill.per_million
    sums = (sum((each.compute for each in parts), Decimal()), sum((each.queue for each in parts), Decimal()))
    stores = sum((each.store for each in parts), Decimal())
    usd = bill.per_million_usd
    seconds = sum((each.seconds for each in parts), Decimal())
    rows.append(("all", f"{seconds:.1f}", *(f"{each:.6f}" for each in (*sums, stores, usd))))
    verdict = "within" if usd <= TARGET_USD else "ABOVE"
    yield (
        f"Lambda, SQS and S3 requests for a million payments more: {usd:.6f} USD, {verdict} the target of {TARGET_USD}.\n"
        + table(("STAGE", "BILLED S", "LAMBDA", "SQS", "S3 REQUESTS", "USD"), rows)
    )
    if job.payments_per_day:
        yield f"Everything together, floor included: {_each_million(job, bill):.4f} USD per million payments."
    if found := list(limits(job)):
        yield "\n".join(f"IT WOULD NOT KEEP UP: {text}" for text in found)


def _each_million(job: Job, bill: Bill) -> Decimal:
    return bill.total.total / (job.payments / 1_000_000)


def _assumptions(job: Job) -> str:
    rows = [(name, f"{value.normalize():f}", unit, meaning) for name, value, unit, meaning in job.assumed.listed()]
    return table(("ASSUMED", "VALUE", "UNIT", "MEANING"), rows) + "\nAnother value: --assume NAME=VALUE."


def _sources(job: Job, measured: Mapping[str, Any]) -> str:
    return (
        f"Measured {measured['measured_on']} on {measured['machine']}, commit {measured['commit']}, load "
        f"{measured['load_before']} to {measured['load_after']}: {measured['command']}\n"
        f"Prices of {job.prices.date}: tieout/data/prices.toml says where each was found. Others: --prices FILE."
    )


def _money(usd: Decimal) -> str:
    return f"{usd.quantize(CENT, ROUND_HALF_EVEN):,}"


def _share(line: Line, bill: Bill) -> str:
    whole = bill.total.total
    return f"{100 * line.total_usd / whole:.1f}" if whole else "0.0"


def as_json(job: Job, bill: Bill, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Amounts are texts of decimal numbers in USD, so that no program rounds them by reading them."""
    return {
        "payments_per_day": int(job.payments_per_day),
        "region": job.prices.region,
        "sources": int(job.sources),
        "acquirers": int(job.acquirers),
        "usd_per_month": _sum(bill.total),
        "services": {name: _sum(each) for name, each in bill.services().items()},
        "lines": [_line(job, line) for line in bill.lines],
        "per_million": {
            "usd": _text(bill.per_million_usd),
            "target_usd": _text(TARGET_USD),
            "stages": [_part(each) for each in bill.per_million],
        },
        "limits": list(limits(job)),
        "assumptions": {name: _text(value) for name, value, *_ in job.assumed.listed()},
        "measured": {name: value for name, value in measured.items() if not isinstance(value, dict)},
        "prices_of": job.prices.date,
    }


def _text(value: Decimal) -> str:
    return f"{value:f}"


def _sum(found: Sum) -> dict[str, str]:
    return {"floor": _text(found.floor), "marginal": _text(found.marginal), "total": _text(found.total)}


def _line(job: Job, line: Line) -> dict[str, Any]:
    return {
        "service": line.service,
        "what": line.what,
        "unit": job.prices.unit[line.price],
        "price": _text(line.usd),
        "floor": {"quantity": f"{line.floor:.6f}", "usd": _text(line.floor_usd)},
        "marginal": {"quantity": f"{line.marginal:.6f}", "usd": _text(line.marginal_usd)},
        "usd": _text(line.total_usd),
    }


def _part(part: Part) -> dict[str, str]:
    return {
        "stage": part.stage,
        "billed_s": _text(part.seconds),
        "lambda_usd": _text(part.compute),
        "sqs_usd": _text(part.queue),
        "s3_usd": _text(part.store),
        "usd": _text(part.total),
    }
