"""The part of a bill for what runs: functions, their queues and notices, traces, and the tasks that extract."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from functions.topology import BESIDE, TOPOLOGY, Stage
from tieout.cost_lines import DAYS, HOURS, Job, Line
from tieout.cost_work import ZERO, Work, slowness

TASK = "extract"
"""The stage that is a Fargate task on AWS; its queue and function are there and idle."""
TASK_VCPU, TASK_GB, TASK_DISK_GB = 1, 4, 30
DISK_FREE_GB = 20
SPOOL_GB = Decimal("3.5")
"""Of /tmp beyond what is free, which each stage's function has."""
CALLED = tuple(stage for stage in TOPOLOGY if stage.name != TASK)
MEMORY = {stage.name: stage.memory_mb for stage in TOPOLOGY} | {each.name: each.memory_mb for each in BESIDE}


def compute(job: Job) -> Iterator[Line]:
    yield from _functions(job)
    yield from _queues(job)
    yield from _notices(job)
    yield from _tasks(job)


def seconds(job: Job, stage: Stage) -> tuple[Decimal, Decimal]:
    """Billed in a month: (floor, marginal)."""
    floor, marginal = job.floor(stage.name), job.marginal(stage.name)
    return floor.billed_s(stage.memory_mb, job.assumed), marginal.billed_s(stage.memory_mb, job.assumed)


def requests_of(work: Work) -> Decimal:
    """To SQS: each message is sent by itself; it is received and deleted with its batch."""
    return work.messages + 2 * work.invocations


def _gb(memory_mb: int) -> Decimal:
    return Decimal(memory_mb) / 1024


def _functions(job: Job) -> Iterator[Line]:
    disk = [ZERO, ZERO]
    for stage in CALLED:
        floor, marginal = seconds(job, stage)
        # At each run everything that may run at once starts anew.
        cold = job.runs * stage.at_once_max * job.assumed.cold_cpu_s * slowness(stage.memory_mb, job.assumed)
        floor += cold
        disk = [disk[0] + floor * SPOOL_GB, disk[1] + marginal * SPOOL_GB]
        gb = _gb(stage.memory_mb)
        yield job.line("Lambda", stage.name, "lambda_gb_s", floor * gb, marginal * gb)
    tick = job.chain.idle["tick"].billed_s(MEMORY["tick"], job.assumed) * job.ticks
    yield job.line("Lambda", "tick", "lambda_gb_s", tick * _gb(MEMORY["tick"]))
    pages = job.assumed.pages_per_day * DAYS
    yield job.line("Lambda", "dashboard", "lambda_gb_s", pages * job.assumed.page_s * _gb(MEMORY["dashboard"]))
    yield job.line("Lambda", "requests", "lambda_request", *invocations(job))
    yield job.line("Lambda", "disk beyond 512 MB", "lambda_disk_gb_s", *disk)


def invocations(job: Job) -> tuple[Decimal, Decimal]:
    """Of all functions in a month: (floor, marginal)."""
    floor = sum((job.floor(stage.name).invocations for stage in CALLED), ZERO)
    pages = job.assumed.pages_per_day * DAYS
    return floor + job.ticks + pages, sum((job.marginal(stage.name).invocations for stage in CALLED), ZERO)


def _queues(job: Job) -> Iterator[Line]:
    floor = sum((requests_of(job.floor(stage.name)) for stage in CALLED), ZERO)
    marginal = sum((requests_of(job.marginal(stage.name)) for stage in CALLED), ZERO)
    yield job.line("SQS", "messages", "sqs_request", floor, marginal)
    empty = len(TOPOLOGY) * job.assumed.pollers * HOURS * 3600 / job.assumed.poll_s
    yield job.line("SQS", "receives from empty queues", "sqs_request", empty)
    yield job.line("SQS", "tick's looks at queues", "sqs_request", job.ticks * len(TOPOLOGY))


def _notices(job: Job) -> Iterator[Line]:
    objects = [job.kept(f"{bucket}_objects") for bucket in ("raw", "curated", "outbound", "results")]
    floor, marginal = (sum((each[part] for each in objects), ZERO) for part in (0, 1))
    yield job.line("EventBridge", "notices of stored objects", "eventbridge_event", floor, marginal)
    yield job.line("EventBridge", "schedules of extractions", "scheduler_invocation", job.runs)
    share = job.assumed.traced_share
    yield job.line("X-Ray", "traces", "trace", *(each * share for each in invocations(job)))


def _tasks(job: Job) -> Iterator[Line]:
    floor, marginal = job.floor(TASK), job.marginal(TASK)
    fixed_s = floor.cpu_s + floor.wait_s(job.assumed) + job.runs * job.assumed.task_start_s
    more_s = marginal.cpu_s + marginal.wait_s(job.assumed)
    hours = (fixed_s / 3600, more_s / 3600)
    for what, price, size in (
        ("processors", "fargate_vcpu_hour", TASK_VCPU),
        ("memory", "fargate_gb_hour", TASK_GB),
        ("disk beyond 20 GB", "fargate_disk_gb_hour", TASK_DISK_GB - DISK_FREE_GB),
    ):
        yield job.line("Fargate", f"extraction: {what}", price, *(each * size for each in hours))
