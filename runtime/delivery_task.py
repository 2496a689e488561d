"""Leaves a delivery to a Fargate task when more is due than a function could deliver before it is ended.

    how much is due?  ledger only, before anybody connects
    start the task    under the lease of the acquirer: nobody delivers meanwhile, and one task is started, not two
    mark              firing `delivery-task:ACQUIRER`: until the task has the lease itself, or `STARTING` has passed

The task is `tieout deliver ACQUIRER`: it takes the same lease. A task that was started twice after all finds it taken, and goes.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from payments.config import AcquirerSection
from payments.config_task import DeliveryTask
from payments.errors import Unreachable
from payments.firings import last_fired, mark_fired
from payments.leasing import TTL
from runtime import aws

if TYPE_CHECKING:
    from runtime.wiring import World

log = logging.getLogger(__name__)

STARTING = timedelta(minutes=5)
"""How long a task may take until it holds the lease. One that is not there by then is started again."""
REASON_LENGTH_MAX = 60


def is_left_to_task(world: World, acquirer: AcquirerSection) -> bool:
    """Whether a task delivers what is due, which is started here if need be. Raises Unreachable when it cannot be."""
    from transfer.task_starts import count_start

    task = world.configuration.service.delivery_task
    if task is None or bytes_due(world, acquirer) <= world.configuration.service.deliver_in_function_bytes_max:
        return False
    lease = world.ledger.leases.acquire(f"deliver:{acquirer.name}", ttl=TTL)
    if lease is None:
        return True  # whoever delivers now looks again before it lets go
    try:
        if not _is_starting(world, acquirer):
            _start(task, acquirer.name)
            with world.ledger.begin() as tx:
                mark_fired(tx, _firing(acquirer), world.clock.now())
                count_start(tx, acquirer, world.clock.now())
    finally:
        world.ledger.leases.release(lease)
    return True


def bytes_due(world: World, acquirer: AcquirerSection) -> int:
    """The size of all files that may leave now."""
    from transfer.deliver import due_files

    with world.ledger.look() as tx:
        return sum(file.size for file in due_files(tx, acquirer, world.clock.now()))


def _is_starting(world: World, acquirer: AcquirerSection) -> bool:
    with world.ledger.look() as tx:
        started = last_fired(tx, _firing(acquirer))
    return started is not None and world.clock.now() - started < STARTING


def _firing(acquirer: AcquirerSection) -> str:
    return f"delivery-task:{acquirer.name}"


def _start(task: DeliveryTask, name: str) -> None:
    client = aws.client("ecs")
    network = {"subnets": task.subnets, "securityGroups": task.security_groups, "assignPublicIp": "DISABLED"}
    with aws.translated(f"task {task.definition}"):
        answer = client.run_task(
            cluster=task.cluster,
            taskDefinition=task.definition,
            launchType="FARGATE",
            count=1,
            networkConfiguration={"awsvpcConfiguration": network},
            overrides={"containerOverrides": [{"name": task.container, "command": ["deliver", name]}]},
            startedBy=f"tieout/{name}"[:128],
        )
    if not answer["tasks"]:
        reasons = {str(each.get("reason", "no reason"))[:REASON_LENGTH_MAX] for each in answer["failures"]}
        raise Unreachable(f"task {task.definition} was not started: {', '.join(sorted(reasons)) or 'no reason given'}")
    log.info("acquirer %s: more is due than a function has time for; a task delivers it", name)
