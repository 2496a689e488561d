"""The whole bill: its lines, its sums by service, and what a million payments cost of Lambda, SQS and requests to S3."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext

from tieout.cost_around import around
from tieout.cost_compute import CALLED, compute, requests_of
from tieout.cost_lines import Job, Line
from tieout.cost_storage import storage
from tieout.cost_work import ZERO

PRECISION = 60
"""Digits to calculate with: no sum of a bill loses any."""
MILLION = Decimal(1_000_000)
SHOWN = Decimal("0.000000000001")
TARGET_USD = Decimal("0.01")
"""What a million payments may cost at the most of Lambda, SQS and requests to S3."""


@dataclass(frozen=True)
class Sum:
    """Of the lines of one service, or of all."""

    floor: Decimal
    marginal: Decimal

    @property
    def total(self) -> Decimal:
        return self.floor + self.marginal


@dataclass(frozen=True)
class Part:
    """One stage's share of a million payments, in USD."""

    stage: str
    seconds: Decimal
    compute: Decimal
    queue: Decimal
    store: Decimal

    @property
    def total(self) -> Decimal:
        return self.compute + self.queue + self.store


@dataclass(frozen=True)
class Bill:
    """Of one month."""

    lines: tuple[Line, ...]
    per_million: tuple[Part, ...]

    def services(self) -> dict[str, Sum]:
        """In the order of the lines."""
        names = dict.fromkeys(line.service for line in self.lines)
        return {name: summed(line for line in self.lines if line.service == name) for name in names}

    @property
    def total(self) -> Sum:
        return summed(self.lines)

    @property
    def per_million_usd(self) -> Decimal:
        return sum((part.total for part in self.per_million), ZERO)


def summed(lines: Iterable[Line]) -> Sum:
    found = tuple(lines)
    return Sum(sum((each.floor_usd for each in found), ZERO), sum((each.marginal_usd for each in found), ZERO))


def bill(job: Job) -> Bill:
    """Pure: the same job gives the same bill."""
    with localcontext(prec=PRECISION):
        lines = (*compute(job), *storage(job), *around(job))
        return Bill(lines, tuple(_part(job, stage.name, stage.memory_mb) for stage in CALLED))


def _part(job: Job, stage: str, memory_mb: int) -> Part:
    work, price = job.chain.per_payment[stage] * MILLION, job.prices.of
    seconds = work.billed_s(memory_mb, job.assumed)
    compute_usd = seconds * memory_mb / 1024 * price("lambda_gb_s") + work.invocations * price("lambda_request")
    queue_usd = requests_of(work) * price("sqs_request")
    store_usd = (work.s3_put + work.s3_list) * price("s3_put") + work.s3_get * price("s3_get")
    amounts = (each.quantize(SHOWN) for each in (compute_usd, queue_usd, store_usd))
    return Part(stage, seconds.quantize(SHOWN), *amounts)
