"""How much work payments, runs and looks at nothing are, stage by stage: from two measured runs, one small and one large.

A run costs a fixed amount and an amount per payment. The difference of the two runs, per payment, is the second; what it
leaves of the small run is the first. Pure functions over the figures of tieout/data/measured.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from functions.topology import TOPOLOGY
from tieout.cost_assumptions import Assumptions

STEP = Decimal("1e-24")
"""Figures per payment are rounded to this, so that sums of what is made of them are exact."""
MB = Decimal(1_000_000)
ZERO = Decimal(0)
LINES = {"deliver": "sent", "collect": "received"}
"""Stages that move files over the acquirer's line, and what those are called in `kept`."""


@dataclass(frozen=True)
class Work:
    """Sums over invocations. `sessions`, `line_files` and `line_bytes` are those with an acquirer's server."""

    invocations: Decimal = ZERO
    messages: Decimal = ZERO
    cpu_s: Decimal = ZERO
    s3_get: Decimal = ZERO
    s3_put: Decimal = ZERO
    s3_list: Decimal = ZERO
    s3_bytes: Decimal = ZERO
    statements: Decimal = ZERO
    log_bytes: Decimal = ZERO
    sessions: Decimal = ZERO
    line_files: Decimal = ZERO
    line_bytes: Decimal = ZERO

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __mul__(self, times: Decimal) -> Work:
        return Work(*(getattr(self, each.name) * times for each in fields(self)))

    def wait_s(self, assumed: Assumptions) -> Decimal:
        """For S3, the ledger and the acquirer, all of it one after the other: an upper bound."""
        requests = self.s3_get + self.s3_put + self.s3_list
        inside = requests * assumed.s3_s + self.s3_bytes / (assumed.s3_mb_s * MB) + self.statements * assumed.ledger_s
        line = self.line_bytes / (assumed.line_mb_s * MB) + self.line_files * assumed.file_s
        return inside + line + self.sessions * assumed.login_s

    def billed_s(self, memory_mb: int, assumed: Assumptions) -> Decimal:
        """Below `vcpu_mb` a function has less than one vCPU; above it, none of our work is split among several."""
        return self.cpu_s * slowness(memory_mb, assumed) + self.wait_s(assumed)


def slowness(memory_mb: int, assumed: Assumptions) -> Decimal:
    """How many times longer processor time takes with so much memory."""
    return max(Decimal(1), assumed.vcpu_mb / memory_mb)


@dataclass(frozen=True)
class Chain:
    """Per payment, per run, and for one look at nothing: work by stage, and what is kept."""

    per_payment: Mapping[str, Work]
    per_run: Mapping[str, Work]
    idle: Mapping[str, Work]
    kept_per_payment: Mapping[str, Decimal]
    kept_per_run: Mapping[str, Decimal]
    idle_log_bytes: Decimal


def chain(measured: Mapping[str, Any]) -> Chain:
    """Of the figures as they were written."""
    small, large = measured["small"], measured["large"]
    more = Decimal(large["payments"] - small["payments"])
    payment, run = {}, {}
    for stage in (each.name for each in TOPOLOGY):
        few, many = _work(small, stage), _work(large, stage)
        payment[stage] = _each(many, few, lambda a, b: _slope(a - b, more))
        run[stage] = _each(few, payment[stage], lambda a, b: max(ZERO, a - b * small["payments"]))
    kept = {name: _slope(Decimal(large["kept"][name]) - Decimal(few), more) for name, few in small["kept"].items()}
    left = {name: max(ZERO, Decimal(few) - kept[name] * small["payments"]) for name, few in small["kept"].items()}
    idle, times = measured["idle"], Decimal(measured["idle"]["times"])
    looks = {name: _figures(each) * (1 / times) for name, each in idle.items() if isinstance(each, dict)}
    looks["collect"] = looks["collect"] + Work(sessions=Decimal(1))
    return Chain(payment, run, looks, kept, left, Decimal(idle["ledger_log_bytes"]) / times)


def _slope(more: Decimal, payments: Decimal) -> Decimal:
    """Never below 0: a figure that fell by chance does not make payments a gain."""
    return max(ZERO, more / payments).quantize(STEP)


def _each(left: Work, right: Work, act: Any) -> Work:
    return Work(*(act(getattr(left, each.name), getattr(right, each.name)) for each in fields(Work)))


def _work(run: Mapping[str, Any], stage: str) -> Work:
    if stage not in run["stages"]:
        # No payment starts it: nothing expires unless it is declared, and a list is written when somebody asks.
        return Work()
    work = _figures(run["stages"][stage])
    if stage not in LINES:
        return work
    files, size = (Decimal(run["kept"][f"{LINES[stage]}_{what}"]) for what in ("files", "bytes"))
    return work + Work(sessions=work.invocations, line_files=files, line_bytes=size)


def _figures(figures: Mapping[str, Any]) -> Work:
    return Work(**{each.name: Decimal(figures.get(each.name, 0)) for each in fields(Work)})
