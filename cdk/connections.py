"""Counts who may be connected to the ledger at once, and refuses a deployment that could use it up."""

from __future__ import annotations

from cdk.configuration import Configuration
from cdk.duty import CONNECTIONS_MAX
from cdk.environment import Environment, WrongContext
from functions.topology import BESIDE, TOPOLOGY

PER_CAPACITY_UNIT = 189
"""Aurora's own default of max_connections for one capacity unit (2 GiB)."""
SHARE_MAX = 0.8
"""The rest is for people, for AWS's own sessions, and for a deployment that replaces functions."""
TASKS_PER_SOURCE = 2
"""A schedule may start a task while the one before still runs: it finds the lease taken and goes."""

TASKS_PER_ACQUIRER = 2
"""The same for deliveries that are too large for a function."""

MIGRATE = "migrate"
"""Runs alone, before the others are let in, as the owner: a user of its own it has not."""


def connections_max(environment: Environment) -> int:
    """`max_connections` of the ledger: what Aurora would give its smallest capacity."""
    return int(PER_CAPACITY_UNIT * environment.capacity_min)


def connections_by_user(environment: Environment, configuration: Configuration) -> dict[str, int]:
    """Function, task or duty -> how many of it run at once at the most; each has one connection."""
    counts = {stage.name: stage.at_once_max for stage in TOPOLOGY}
    counts |= {beside.name: beside.at_once_max for beside in BESIDE if beside.name != MIGRATE}
    counts["delivery"] = TASKS_PER_ACQUIRER * len(configuration.acquirers)
    counts |= {duty: CONNECTIONS_MAX for duty, people in environment.people.items() if people}
    return counts | {f"task-{source.name}": TASKS_PER_SOURCE for source in configuration.sources}


def check_connections(environment: Environment, configuration: Configuration) -> None:
    """Raises WrongContext when all together could take more than their share."""
    total, share = (
        sum(connections_by_user(environment, configuration).values()),
        SHARE_MAX * connections_max(environment),
    )
    if total > share:
        raise WrongContext(
            f"environments.{environment.name}: up to {total} connections to the ledger, and capacity_min = "
            f"{environment.capacity_min} allows {int(share)}; raise capacity_min"
        )
