"""What a deployment could not do as it is: work on one run beyond a time-out, or more work in a day than a day has."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext

from functions.topology import stage_named
from tieout.cost_bill import PRECISION
from tieout.cost_lines import DAYS, PER_ACQUIRER, Job

DAY_S = 86_400
WHOLE_RUN = "assemble"
"""The stage that works on a run as a whole, in one invocation; and on one run at a time."""
BY_LEASE = (WHOLE_RUN, "deliver", "collect", "reconcile")
"""Stages of which one works at a time: for all, or for one acquirer."""


def limits(job: Job) -> Iterator[str]:
    """Sentences with what to do about it; none where the chain keeps up."""
    with localcontext(prec=PRECISION):
        yield from _whole_run(job)
        yield from _day(job)


def _whole_run(job: Job) -> Iterator[str]:
    stage = stage_named(WHOLE_RUN)
    seconds = _seconds(job, WHOLE_RUN) / job.runs if job.runs else Decimal(0)
    if seconds > stage.timeout_s:
        runs = (job.assumed.runs_per_day * seconds / stage.timeout_s).to_integral_value() + 1
        yield (
            f"{WHOLE_RUN} would work {seconds:,.0f} s on one run, and its time-out is {stage.timeout_s} s: extract at least "
            f"{runs:,} times a day (--assume runs_per_day={runs})."
        )


def _day(job: Job) -> Iterator[str]:
    for name in BY_LEASE:
        side_by_side = job.acquirers if name in PER_ACQUIRER else Decimal(1)
        seconds = _seconds(job, name) / DAYS / side_by_side if side_by_side else Decimal(0)
        if seconds > DAY_S:
            per = " for one acquirer" if name in PER_ACQUIRER else ""
            yield f"{name} would work {seconds:,.0f} s a day{per}, and a day has {DAY_S:,}: it works on one thing at a time."


def _seconds(job: Job, stage: str) -> Decimal:
    """Of a month, all of it one after the other."""
    memory_mb = stage_named(stage).memory_mb
    work = job.floor(stage) + job.marginal(stage)
    return work.billed_s(memory_mb, job.assumed)
