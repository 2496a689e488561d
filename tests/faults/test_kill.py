"""The kill test: SIGKILL at seeded moments of the whole path leaves nothing that an undisturbed run would not have left."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.demo import acquirer as acquirer_apart
from payments.states import FileState
from runtime import aws
from tests import service_runner as runner
from tests.servers.process import free_port
from tests.stage_runner import stages
from transfer.many_acts import Act
from transfer.sftp import SftpDrop

KILLS, KILLS_OF_WORKERS, KILLS_S3 = 30, 10, 8
SEED = 20_260_302
RUN_S_MAX = 500.0
LOOK_S = 0.01
JITTER_S = 0.1
AT_WORK_SHARE = 0.8
Kill = Callable[[runner.Service, random.Random], bool]


@dataclass(frozen=True)
class Undisturbed:
    """What a run leaves that nobody disturbs."""

    demo: Path
    port: int
    directory: Path
    steps: int


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    base, port = tmp_path_factory.mktemp("kill"), free_port()
    demo = runner.prepared(base / "demo")
    directory = runner.copied(demo, base / "undisturbed", port)
    runner.run_to_end(directory)
    return Undisturbed(demo, port, directory, runner.progress(directory))


def the_service(service: runner.Service, _random: random.Random) -> bool:
    """Kill the supervisor alone. True: it must be started again."""
    workers = service.workers()
    service.kill()
    runner.until(lambda: not set(workers) & runner.alive(), "the workers to die with their service", 5)
    return True


def one_worker(service: runner.Service, seeded: random.Random) -> bool:
    """Kill one of the workers: the service starts another by itself."""
    workers = service.workers()
    if workers:
        runner.hard_stop(seeded.choice(workers))
    return False


def either(service: runner.Service, seeded: random.Random) -> bool:
    return (the_service if seeded.random() < 0.5 else one_worker)(service, seeded)


def disturbed_run(directory: Path, steps: int, kills: int, seed: int, kill: Kill) -> int:
    """Run to the end of virtual time under `kills` kills, spread over the steps of the path. Returns how many there were."""
    seeded = random.Random(seed)
    moments = sorted(seeded.randrange(steps) for _ in range(kills))
    done, deadline = 0, time.monotonic() + RUN_S_MAX
    with acquirer_apart(directory):
        service = runner.Service(directory)
        try:
            while not runner.at_end(directory):
                assert time.monotonic() < deadline, f"after {done} kills it does not end:\n{service.said()[-3000:]}"
                assert service.process.poll() is None, service.said()[-3000:]
                if done < kills and runner.progress(directory) >= moments[done]:
                    time.sleep(seeded.random() * JITTER_S)
                    if kill(service, seeded):
                        service = runner.Service(directory)
                    done += 1
                    _await_work(directory, service, seeded)
                time.sleep(LOOK_S)
            assert service.stop() == 0
        finally:
            if service.process.poll() is None:
                service.kill()
    return done


def _await_work(directory: Path, service: runner.Service, seeded: random.Random) -> None:
    """Most kills come after the service did something since the last one; some meet it while it starts."""
    before = runner.progress(directory), runner.ticks(directory)
    if seeded.random() < AT_WORK_SHARE:
        runner.until(
            lambda: (
                (runner.progress(directory), runner.ticks(directory)) != before
                or service.process.poll() is not None
                or runner.at_end(directory)
            ),
            "the service to go on after a kill",
            30,
        )


def assert_same(directory: Path, undisturbed: Undisturbed) -> None:
    """Everything that the run left equals what the undisturbed one left."""
    assert runner.audit_faults(directory) == []
    found, wanted = runner.objects(directory), runner.objects(undisturbed.directory)
    assert {key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key)} == set()
    assert runner.placed(directory) == runner.sealed(directory) == runner.placed(undisturbed.directory)
    assert runner.answered(directory) == runner.answered(undisturbed.directory)
    books = runner.books(directory)
    assert books == runner.books(undisturbed.directory)
    assert books["ties"] is True
    assert runner.processes_of(directory) == []
    assert runner.errors_logged(directory) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kill", "kills"), [(the_service, KILLS), (one_worker, KILLS_OF_WORKERS)])
def test_kills_leave_what_an_undisturbed_run_leaves(
    undisturbed: Undisturbed, tmp_path: Path, kill: Kill, kills: int
) -> None:
    """Killed at seeded moments, the service sends every file once and leaves the bytes and books of an undisturbed run."""
    directory = runner.copied(undisturbed.demo, tmp_path / "killed", undisturbed.port)
    assert disturbed_run(directory, undisturbed.steps, kills, SEED, kill) == kills
    assert_same(directory, undisturbed)


class Killed(BaseException):
    """Stands for SIGKILL: no handler of ours catches it."""


def test_a_kill_before_the_rename_costs_no_time(
    undisturbed: Undisturbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that died between its intention to rename and the rename makes the file neither late nor doubtful."""

    begin = SftpDrop.begin

    def killed(drop: SftpDrop, act: Act) -> int:
        if act.verb == "place":
            raise Killed
        return begin(drop, act)

    directory = runner.copied(undisturbed.demo, tmp_path / "run", free_port())
    with stages(directory) as at, acquirer_apart(directory):
        monkeypatch.setattr("transfer.sftp.SftpDrop.begin", killed)
        with pytest.raises(Killed):
            at.send("extract", "legacy")
        monkeypatch.undo()
        at.revive()
        files = at.files()
        assert {file.state for file in files} == {FileState.DELIVERED}
        assert {file.delivered_at for file in files} == {at.clock.now()}
        assert max(file.attempts for file in files) == 2
        assert runner.placed(directory) == runner.sealed(directory)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_with_objects_on_s3(undisturbed: Undisturbed, tmp_path: Path, moto_endpoint: str) -> None:
    """With every object on S3, a killed and restarted service leaves the same bytes as an undisturbed one on files."""
    changes = {
        **runner.FEW_POLLS,
        'root = "file:store"': f'root = "s3://{bucket(moto_endpoint)}/demo"\ns3_endpoint = "{moto_endpoint}"',
    }
    directory = runner.copied(undisturbed.demo, tmp_path / "s3", undisturbed.port, changes)
    assert disturbed_run(directory, undisturbed.steps, KILLS_S3, SEED, the_service) == KILLS_S3
    assert_same(directory, undisturbed)


def bucket(endpoint: str) -> str:
    """A new bucket."""
    name = "tieout-killed"
    client = aws.client("s3", endpoint=endpoint)
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    client.close()
    return name
