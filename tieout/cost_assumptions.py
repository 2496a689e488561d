"""What a bill depends on and nobody measured here: each assumption with its unit, its value and what it means.

The values of a deployment are those of `prod` in cdk.json; `tieout cost --assume NAME=VALUE` takes others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from typing import Annotated, get_type_hints

from payments.errors import NotAllowed

AMOUNT_MAX = Decimal(10) ** 12


@dataclass(frozen=True)
class Of:
    """An assumption's unit and meaning."""

    unit: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """All of them are numbers from 0 up; in the order in which they are listed."""

    runs_per_day: Annotated[Decimal, Of("a day", "runs per source; each brings every acquirer a file")] = Decimal(3)
    polls_per_hour: Annotated[
        Decimal, Of("an hour", "looks into each acquirer's outbox (`results.collect_every_s`)")
    ] = Decimal(12)
    kept_days: Annotated[
        Decimal, Of("days", "how long objects and ledger rows have been kept: the bill of the month after")
    ] = Decimal(365)
    zones: Annotated[Decimal, Of("", "`zones` in cdk.json")] = Decimal(3)
    nat_addresses: Annotated[Decimal, Of("", "`nat_addresses` in cdk.json")] = Decimal(2)
    capacity_min: Annotated[
        Decimal, Of("ACU", "`capacity_min` in cdk.json, for the writer and each reader, every hour")
    ] = Decimal(1)
    ledger_readers: Annotated[Decimal, Of("", "`ledger_readers` in cdk.json")] = Decimal(1)
    log_days: Annotated[Decimal, Of("days", "`log_days` in cdk.json")] = Decimal(400)
    people: Annotated[Decimal, Of("", "who sign in to the dashboard in a month")] = Decimal(10)
    pages_per_day: Annotated[Decimal, Of("a day", "requests to the dashboard")] = Decimal(2000)
    page_s: Annotated[Decimal, Of("s", "billed for one of them")] = Decimal("0.2")
    page_kb: Annotated[Decimal, Of("kB", "sent for one of them")] = Decimal(50)
    vcpu_mb: Annotated[
        Decimal, Of("MB", "memory at which a function has one vCPU; below it processor time takes longer")
    ] = Decimal(1769)
    s3_s: Annotated[Decimal, Of("s", "wait for one request to S3, one after the other")] = Decimal("0.03")
    s3_mb_s: Annotated[Decimal, Of("MB/s", "between a function and S3")] = Decimal(75)
    ledger_s: Annotated[Decimal, Of("s", "wait for one statement or commit of the ledger")] = Decimal("0.002")
    login_s: Annotated[Decimal, Of("s", "wait for a log-in at an acquirer over a line of 40 ms")] = Decimal("1.5")
    file_s: Annotated[Decimal, Of("s", "wait for one file over such a line in strict order, besides its bytes")] = (
        Decimal("0.063")
    )
    line_mb_s: Annotated[Decimal, Of("MB/s", "between us and an acquirer")] = Decimal(5)
    cold_cpu_s: Annotated[
        Decimal, Of("s", "processor time of a function's start; at each run all that may run at once start")
    ] = Decimal("0.45")
    task_start_s: Annotated[Decimal, Of("s", "billed for a Fargate task besides its work")] = Decimal(60)
    pollers: Annotated[Decimal, Of("a queue", "receivers that Lambda keeps at a queue with MaximumConcurrency")] = (
        Decimal(5)
    )
    poll_s: Annotated[Decimal, Of("s", "how long a receive waits while a queue is empty")] = Decimal(20)
    acu_vcpu: Annotated[
        Decimal, Of("vCPU", "of one ACU; the ledger's load is counted beyond the smallest capacity, never within it")
    ] = Decimal("0.25")
    io_bytes: Annotated[Decimal, Of("bytes", "of the ledger's log in one I/O; reads come from memory")] = Decimal(4096)
    kms_share: Annotated[Decimal, Of("", "requests to KMS per request to S3, with bucket keys")] = Decimal("0.01")
    traced_share: Annotated[Decimal, Of("", "invocations that X-Ray records")] = Decimal(1)
    platform_log_bytes: Annotated[Decimal, Of("bytes", "that Lambda itself logs for an invocation")] = Decimal(600)
    network_log_gb: Annotated[Decimal, Of("GB", "flow logs of the network in a month")] = Decimal(2)
    endpoint_gb: Annotated[Decimal, Of("GB", "through interface endpoints in a month")] = Decimal(5)
    image_gb: Annotated[Decimal, Of("GB", "images kept for the Fargate task")] = Decimal(1)
    alarm_emails: Annotated[Decimal, Of("a month", "e-mails about alarms")] = Decimal(100)

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not (value.is_finite() and 0 <= value <= AMOUNT_MAX):
                raise NotAllowed(
                    f"--assume {each.name}: found {value}; allowed: a number from 0 to {AMOUNT_MAX:,.0f}",
                    next_step=_NEXT,
                )
        for name in DIVISORS:
            if not getattr(self, name):
                raise NotAllowed(f"--assume {name}: found 0; allowed: more than 0", next_step=_NEXT)

    def changed(self, texts: Iterable[str]) -> Assumptions:
        """With what NAME=VALUE says. Raises NotAllowed."""
        names = {each.name for each in fields(self)}
        found: dict[str, Decimal] = {}
        for text in texts:
            name, _, value = text.partition("=")
            if name not in names:
                raise NotAllowed(f"--assume {text!a}: there is no such assumption", next_step=_NEXT)
            try:
                found[name] = Decimal(value)
            except InvalidOperation:
                raise NotAllowed(f"--assume {text!a}: the value is no number", next_step=_NEXT) from None
        return replace(self, **found)

    def listed(self) -> Iterator[tuple[str, Decimal, str, str]]:
        """(name, value, unit, meaning) of each."""
        for name, kind in get_type_hints(Assumptions, include_extras=True).items():
            [of] = kind.__metadata__
            yield name, getattr(self, name), of.unit, of.meaning


DIVISORS = ("vcpu_mb", "s3_mb_s", "line_mb_s", "poll_s", "acu_vcpu", "io_bytes")
_NEXT = "`tieout cost --payments-per-day 1` lists every assumption with its name and value."
