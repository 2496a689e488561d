"""The kill test: SIGKILL at seeded moments of the whole path leaves nothing that an undisturbed run would not have left."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.demo import acquirer as acquirer_apart
from runtime.wiring import World
from tests import service_runner as runner
from tests.servers.process import free_port

KILLS, KILLS_S3 = 30, 8
SEED = 20_260_302
RUN_S_MAX = 240.0
LOOK_S = 0.01
JITTER_S = 0.25
Kill = Callable[[runner.Service, random.Random], bool]


@dataclass(frozen=True)
class Undisturbed:
    """What a run leaves that nobody disturbs."""

    demo: Path
    port: int
    directory: Path
    steps: int


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    base, port = tmp_path_factory.mktemp("kill"), free_port()
    demo = runner.prepared(base / "demo")
    directory = runner.copied(demo, base / "undisturbed", port)
    runner.run_to_end(directory)
    yield Undisturbed(demo, port, directory, runner.progress(directory))


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
                assert time.monotonic() < deadline, f"{done} kills, then:\n{service.said()[-3000:]}"
                assert service.process.poll() is None, service.said()[-3000:]
                if done < len(moments) and runner.progress(directory) >= moments[done]:
                    time.sleep(seeded.random() * JITTER_S)
                    again, done = kill(service, seeded), done + 1
                    service = runner.Service(directory) if again else service
                    runner.settle(service, seeded)
                time.sleep(LOOK_S)
            assert service.stop() == 0
        finally:
            if service.process.poll() is None:
                service.kill()
    return done
