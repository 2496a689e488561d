"""The part of a bill for what is around the chain: network, dashboard, logs, metrics, alarms and secrets."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from functions.topology import BESIDE, TOPOLOGY, WATCHED
from tieout.cost_compute import invocations
from tieout.cost_lines import DAYS, GB, HOURS, Job, Line
from tieout.cost_work import ZERO

ENDPOINTS = 7
"""Interface endpoints; each has an address in every zone."""
FIREWALL_RULES = 4
STAGE_ALARMS, BESIDE_ALARMS, OTHER_ALARMS = 5, 3, 3
"""Per stage; per function beside the chain; of the ledger and of extraction. One more for each that is called by a clock."""
METRICS, METRICS_PER_SOURCE, METRICS_PER_ACQUIRER = len(WATCHED) + 3, 3, 10
"""Of runtime.measures; an acquirer has one more for each further currency and direction."""
SECRETS = 2
"""The owner's password of the ledger and the dashboard's settings; each source and acquirer has one more."""
KB = Decimal(1000)


def around(job: Job) -> Iterator[Line]:
    yield from _network(job)
    yield from _dashboard(job)
    yield from _logs(job)
    yield from _watching(job)


MINUTE_S = 60
"""What is called so often has an alarm that rings when it is not."""


def alarms() -> int:
    """How many there are in one environment."""
    clocked = sum(1 for each in BESIDE if 0 < each.schedule_s <= MINUTE_S)
    return STAGE_ALARMS * len(TOPOLOGY) + BESIDE_ALARMS * len(BESIDE) + OTHER_ALARMS + clocked + len(WATCHED)


def _network(job: Job) -> Iterator[Line]:
    assumed, gateways = job.assumed, job.assumed.nat_addresses * HOURS
    yield job.line("NAT", "gateways", "nat_hour", gateways)
    sent, received = job.kept("sent_bytes"), job.kept("received_bytes")
    through = ((one + other) / GB for one, other in zip(sent, received, strict=True))
    yield job.line("NAT", "files to and from acquirers", "nat_gb", *through)
    yield job.line("NAT", "fixed addresses", "ipv4_hour", gateways)
    yield job.line("Endpoints", "of seven services, in each zone", "endpoint_hour", ENDPOINTS * assumed.zones * HOURS)
    yield job.line("Endpoints", "traffic", "endpoint_gb", assumed.endpoint_gb)
    yield job.line("Internet", "files to acquirers", "out_gb", *(each / GB for each in sent))


def _dashboard(job: Job) -> Iterator[Line]:
    pages = job.assumed.pages_per_day * DAYS
    yield job.line("CloudFront", "requests", "cloudfront_request", pages)
    yield job.line("CloudFront", "to viewers", "cloudfront_gb", pages * job.assumed.page_kb * KB / GB)
    yield job.line("WAF", "web ACL", "waf_acl_month", 1)
    yield job.line("WAF", "rules", "waf_rule_month", FIREWALL_RULES)
    yield job.line("WAF", "requests", "waf_request", pages)
    yield job.line("Cognito", "people, Plus plan", "cognito_person_month", job.assumed.people)


def _logs(job: Job) -> Iterator[Line]:
    floor_calls, calls = invocations(job)
    names = [stage.name for stage in TOPOLOGY]
    floor = sum((job.floor(name).log_bytes for name in names), job.chain.idle["tick"].log_bytes * job.ticks)
    marginal = sum((job.marginal(name).log_bytes for name in names), ZERO)
    floor += floor_calls * job.assumed.platform_log_bytes + job.assumed.network_log_gb * GB
    sizes = (floor / GB, (marginal + calls * job.assumed.platform_log_bytes) / GB)
    yield job.line("CloudWatch", "logs taken in", "logs_gb", *sizes)
    months = job.assumed.log_days / DAYS
    yield job.line("CloudWatch", "logs kept", "logs_gb_month", *(each * months for each in sizes))


def _watching(job: Job) -> Iterator[Line]:
    metrics = METRICS + METRICS_PER_SOURCE * job.sources + METRICS_PER_ACQUIRER * job.acquirers
    yield job.line("CloudWatch", "metrics of our own", "metric_month", metrics)
    yield job.line("CloudWatch", "alarms", "alarm_month", alarms())
    yield job.line("CloudWatch", "dashboard", "dashboard_month", 1)
    yield job.line("SNS", "e-mails", "sns_email", job.assumed.alarm_emails)
    yield job.line("Secrets Manager", "secrets", "secret_month", SECRETS + job.sources + job.acquirers)
    # A new environment asks once; a poll that meets none of the last hour does too.
    yield job.line("Secrets Manager", "calls", "secret_call", job.polls + job.runs)
