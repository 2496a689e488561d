"""Whether a function delivers or a task does is chosen by what is due, before anybody connects; a task is started once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from functions import batch
from functions.deliver import handler
from payments.errors import Unreachable
from payments.leasing import TTL
from payments.records import OutboundFile
from runtime import delivery_task
from runtime.attention import attention
from runtime.delivery_task import STARTING
from runtime.ledger.clock import LedgerClock
from runtime.wakes import wake
from runtime.wiring import World
from tests.contract.ledger_world import sample
from tests.unit.functions.test_handlers import sqs_event
from tests.unit.local.small_world import acquirer
from tieout.__main__ import main
from transfer.task_starts import STARTS_MAX

CLOCK = "[clock]\nstart = 2026-03-02T12:00:00Z\n"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LIMIT = 1000
SERVICE = """
[service]
deliver_in_function_bytes_max = 1000
"""
TASK = """
[service.delivery_task]
cluster = "{cluster}"
definition = "tieout-dev-task-deliver"
subnets = ["{subnet}"]
security_groups = ["{group}"]
"""


class Made:
    """A world in which what is delivered here is noted, and nothing else done."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, *parts: str) -> None:
        self.config = folder / "tieout.toml"
        self.config.write_text("".join((CLOCK, SERVICE, *parts, acquirer(), acquirer("giro"))))
        self.world = World.open(str(self.config))
        self.here: list[str] = []
        patch.setattr(self.world, "deliver_to", lambda name, _may_begin: self.here.append(name))
        batch.use(self.world)

    def due(self, name: str, size: int, **given: Any) -> None:
        known = {"file_id": f"f{size}", "acquirer": name, "state": "sealed", "held": "", "next_attempt_at": None}
        with self.world.ledger.begin() as tx:
            tx.files.add(sample(OutboundFile, **{**known, **given}, size=size, name=f"{name}{size}"))

    def later(self, by: timedelta) -> None:
        assert isinstance(self.world.clock, LedgerClock)
        self.world.clock.move(self.world.clock.now() + by)


class Ecs:
    """The cluster and the task definition of a deployment, on moto."""

    def __init__(self, endpoint: str) -> None:
        given = {"endpoint_url": endpoint, "region_name": "eu-central-1"}
        given |= {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        self.ecs, ec2 = boto3.client("ecs", **given), boto3.client("ec2", **given)
        network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        ec2.modify_vpc_attribute(VpcId=network, EnableDnsHostnames={"Value": True})
        self.subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        self.group = ec2.create_security_group(VpcId=network, GroupName="tasks", Description="tasks")["GroupId"]
        self.cluster = f"tieout-{uuid.uuid4().hex[:8]}"
        self.ecs.create_cluster(clusterName=self.cluster)
        container = {"name": "deliver", "image": "tieout", "entryPoint": ["tieout"], "memory": 4096}
        self.ecs.register_task_definition(
            family="tieout-dev-task-deliver",
            containerDefinitions=[container],
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="1024",
            memory="4096",
        )

    @property
    def settings(self) -> str:
        return TASK.format(cluster=self.cluster, subnet=self.subnet, group=self.group)

    def started(self) -> list[list[str]]:
        """The commands of all tasks."""
        arns = self.ecs.list_tasks(cluster=self.cluster)["taskArns"]
        if not arns:
            return []
        tasks = self.ecs.describe_tasks(cluster=self.cluster, tasks=arns)["tasks"]
        assert {each["launchType"] for each in tasks} == {"FARGATE"}
        return [override["command"] for each in tasks for override in each["overrides"]["containerOverrides"]]


@pytest.fixture
def ecs(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Ecs:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_endpoint)
    return Ecs(moto_endpoint)


@pytest.fixture(autouse=True)
def _nobody_knows_the_world_afterwards() -> Iterator[None]:
    yield
    for each in batch._worlds:
        each.ledger.engine.dispose()
    batch._worlds.clear()


def woken(name: str = "northbank") -> bool:
    """Whether the wake-up was acknowledged."""
    return handler(sqs_event(wake(name)), None) == {"batchItemFailures": []}


def test_on_one_machine_everything_is_delivered_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a task in the configuration size decides nothing."""
    at = Made(tmp_path, monkeypatch)
    at.due("northbank", LIMIT * LIMIT)
    assert woken()
    assert at.here == ["northbank"]


def test_what_a_function_has_time_for_it_delivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ecs: Ecs) -> None:
    """Up to the limit, counted over this acquirer's files that may leave now: not another's, not what is held or waits."""
    at = Made(tmp_path, monkeypatch, ecs.settings)
    at.due("northbank", LIMIT)
    at.due("northbank", LIMIT + 1, held="limit", sequence=2)
    at.due("northbank", LIMIT + 2, next_attempt_at=NOON + timedelta(hours=1), sequence=3)
    at.due("giro", LIMIT + 3)
    assert woken()
    assert at.here == ["northbank"]
    assert ecs.started() == []


def test_more_than_that_is_left_to_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ecs: Ecs) -> None:
    """One byte above the limit starts one task for this acquirer; further wake-ups are acknowledged and start none."""
    at = Made(tmp_path, monkeypatch, ecs.settings)
    at.due("northbank", LIMIT)
    at.due("northbank", 1, sequence=2)
    assert all(woken() for _ in range(3))
    assert ecs.started() == [["deliver", "northbank"]]
    at.due("giro", LIMIT + 3)
    assert woken("giro")
    assert sorted(ecs.started()) == [["deliver", "giro"], ["deliver", "northbank"]]
    assert at.here == []


def test_a_task_that_works_keeps_others_from_being_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ecs: Ecs
) -> None:
    """It holds the lease for as long as it delivers, however long ago it was started."""
    at = Made(tmp_path, monkeypatch, ecs.settings)
    at.due("northbank", LIMIT + 1)
    held = at.world.ledger.leases.acquire("deliver:northbank", ttl=TTL)
    assert held is not None
    assert woken()
    assert (ecs.started(), at.here) == ([], [])


def test_a_task_that_never_came_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ecs: Ecs) -> None:
    """When it should have had the lease by now, and files are due still."""
    at = Made(tmp_path, monkeypatch, ecs.settings)
    at.due("northbank", LIMIT + 1)
    assert woken()
    at.later(STARTING - timedelta(seconds=1))
    assert woken()
    assert len(ecs.started()) == 1
    at.later(timedelta(seconds=1))
    assert woken()
    assert len(ecs.started()) == 2


def stuck(at: Made) -> list[str]:
    with at.world.ledger.look() as tx:
        return [each.text for each in attention(tx, at.world.configuration, at.world.clock.now()).waiting]


def test_files_that_every_task_leaves_are_stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ecs: Ecs) -> None:
    """Three tasks for the same file that never say why it is still here: a person is told, until it has left."""
    at = Made(tmp_path, monkeypatch, ecs.settings)
    at.due("northbank", LIMIT + 1, created_at=NOON - timedelta(minutes=1))
    for _ in range(STARTS_MAX):
        assert stuck(at) == []
        assert woken()
        at.later(STARTING)
    [text] = stuck(at)
    assert text.startswith("files to northbank have not left: 3 tasks were started for them since 2026-03-02 12:00:00")
    with at.world.ledger.begin() as tx:
        tx.files.change(tx.files.find()[0], state="delivered")
    assert stuck(at) == []


def test_tasks_that_deliver_are_never_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ecs: Ecs) -> None:
    """Each was started for files that were not there when the one before it was."""
    at = Made(tmp_path, monkeypatch, ecs.settings)
    for day in range(STARTS_MAX + 1):
        at.due("northbank", LIMIT + 1 + day, sequence=day, created_at=at.world.clock.now())
        assert woken()
        assert len(ecs.started()) == day + 1
        assert stuck(at) == []
        with at.world.ledger.begin() as tx:
            tx.files.change(tx.files.find(state="sealed")[0], state="delivered")
        at.later(timedelta(days=1))


@pytest.mark.parametrize("why", ["no cluster", "refused"])
def test_a_task_that_cannot_be_started_fails_the_wake_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ecs: Ecs, why: str
) -> None:
    """It comes again, and nothing is delivered here in its place: there would not be time for it. The lease is free."""
    settings = ecs.settings.replace(ecs.cluster, "another") if why == "no cluster" else ecs.settings
    at = Made(tmp_path, monkeypatch, settings)
    at.due("northbank", LIMIT + 1)
    if why == "refused":

        class Full:
            def run_task(self, **_given: Any) -> dict[str, Any]:
                return {"tasks": [], "failures": [{"reason": "Capacity is unavailable at this time"}]}

        monkeypatch.setattr(delivery_task.aws, "client", lambda _service: Full())
        with pytest.raises(Unreachable, match="Capacity is unavailable"):
            at.world.deliver_when_due("northbank")
    assert not woken()
    assert at.here == []
    assert at.world.ledger.leases.acquire("deliver:northbank", ttl=TTL) is not None


# The command that the task runs


def command(at: Made, capsys: pytest.CaptureFixture[str], name: str = "northbank") -> tuple[int, dict[str, Any]]:
    status = main(["deliver", name, "--json", "--config", str(at.config)])
    return status, json.loads(capsys.readouterr().out)


def test_the_command_says_what_was_due_and_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing due is done; a file whose server does not answer makes the exit status 1 and says why."""
    at = Made(tmp_path, monkeypatch)
    assert command(at, capsys) == (0, {"acquirer": "northbank", "due": 0, "delivered": 0, "another": False})
    at.due("northbank", 5)
    assert command(at, capsys) == (1, {"acquirer": "northbank", "due": 1, "delivered": 0, "another": False})
    at.later(timedelta(days=1))
    assert main(["deliver", "northbank", "--config", str(at.config)]) == 1
    said = capsys.readouterr().out
    assert "northbank: 0 of 1 files delivered" in said
    assert "secret file:key" in said or "northbank5: " in said


def test_the_command_leaves_an_acquirer_to_who_delivers_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second task ends at once, in good order."""
    at = Made(tmp_path, monkeypatch)
    at.due("northbank", 5)
    assert at.world.ledger.leases.acquire("deliver:northbank", ttl=TTL) is not None
    assert command(at, capsys) == (0, {"acquirer": "northbank", "due": 1, "delivered": 0, "another": True})
