"""The part of a bill for what is kept: objects by their age, the ledger, the key, the image."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from functions.topology import TOPOLOGY
from tieout.cost_lines import DAYS, GB, HOURS, Job, Line
from tieout.cost_work import ZERO, Work

BUCKETS = ("raw", "curated", "outbound", "results")
FREQUENT_DAYS, INFREQUENT_DAYS = 60, 60
"""Objects move to Intelligent-Tiering after 30 days; unread there they cost less after 30 and after 90 more."""
WATCHED_AFTER_DAYS = 30
KEY_AND_ROTATIONS = 3


def storage(job: Job) -> Iterator[Line]:
    yield from _requests(job)
    yield from _objects(job)
    yield from _ledger(job)
    yield job.line("KMS", "key, with its first two rotations", "kms_key_month", KEY_AND_ROTATIONS)
    share = job.assumed.kms_share
    yield job.line("KMS", "requests", "kms_request", *(_s3(work) * share for work in (_floor(job), _marginal(job))))
    yield job.line("ECR", "images", "ecr_gb_month", job.assumed.image_gb)


def _s3(work: Work) -> Decimal:
    return work.s3_get + work.s3_put + work.s3_list


def _floor(job: Job) -> Work:
    return sum((job.floor(stage.name) for stage in TOPOLOGY), Work())


def _marginal(job: Job) -> Work:
    return sum((job.marginal(stage.name) for stage in TOPOLOGY), Work())


def _requests(job: Job) -> Iterator[Line]:
    floor, marginal = _floor(job), _marginal(job)
    yield job.line("S3", "PUT and POST", "s3_put", floor.s3_put, marginal.s3_put)
    yield job.line("S3", "LIST", "s3_put", floor.s3_list, marginal.s3_list)
    yield job.line("S3", "GET and HEAD", "s3_get", floor.s3_get, marginal.s3_get)


def _objects(job: Job) -> Iterator[Line]:
    """Each day adds as much as the one before; after `kept_days` days so many of them lie in each class."""
    kept = job.assumed.kept_days
    frequent = min(kept, Decimal(FREQUENT_DAYS))
    infrequent = min(max(ZERO, kept - FREQUENT_DAYS), Decimal(INFREQUENT_DAYS))
    archived = max(ZERO, kept - FREQUENT_DAYS - INFREQUENT_DAYS)
    sizes = [_together(job, part, "bytes") / DAYS / GB for part in (0, 1)]
    for what, price, days in (
        ("kept, first 60 days", "s3_gb_month", frequent),
        ("kept, to day 120, unread", "s3_infrequent_gb_month", infrequent),
        ("kept longer, unread", "s3_archive_gb_month", archived),
    ):
        yield job.line("S3", what, price, *(size * days for size in sizes))
    counts = [_together(job, part, "objects") for part in (0, 1)]
    moved = Decimal(1) if kept > WATCHED_AFTER_DAYS else ZERO
    yield job.line("S3", "moved to Intelligent-Tiering", "s3_transition", *(count * moved for count in counts))
    days = max(ZERO, kept - WATCHED_AFTER_DAYS)
    yield job.line("S3", "watched there", "s3_tiering_object_month", *(count / DAYS * days for count in counts))


def _together(job: Job, part: int, what: str) -> Decimal:
    return sum((job.kept(f"{bucket}_{what}")[part] for bucket in BUCKETS), ZERO)


def _ledger(job: Job) -> Iterator[Line]:
    smallest = job.assumed.capacity_min * (1 + job.assumed.ledger_readers) * HOURS
    yield job.line("Aurora", "smallest capacity", "aurora_acu_hour", smallest)
    load = [cpu_s / job.assumed.acu_vcpu / 3600 for cpu_s in job.kept("ledger_cpu_s")]
    yield job.line("Aurora", "load", "aurora_acu_hour", *load)
    days = job.assumed.kept_days
    yield job.line(
        "Aurora", "storage", "aurora_gb_month", *(size / DAYS * days / GB for size in job.kept("ledger_bytes"))
    )
    floor, marginal = job.kept("ledger_log_bytes")
    floor += job.chain.idle_log_bytes * job.ticks
    ios = (floor / job.assumed.io_bytes, marginal / job.assumed.io_bytes)
    yield job.line("Aurora", "I/O", "aurora_io", *ios)
