"""The whole chain out of the bundle: every message is handled in a bare interpreter with the layers of its function only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.begun import SESSION
from functions.topology import stages_for
from local.acquirer.clock import time_of
from local.prepare import prepare
from local.virtual import VirtualClock
from payments.states import FileState
from runtime.ledger.clock import LedgerClock
from runtime.notices import notice
from runtime.wakes import wake
from runtime.wiring import World
from tests.bundle.bundle_world import ALLOWED, FUNCTIONS, ROOT, Ran, run_bare, unpacked
from tests.servers.oidc_provider import ADDRESS, CLIENT, oidc_provider
from tests.servers.process import until
from tests.unit.functions.function_url import event

pytestmark = pytest.mark.xdist_group("bundle")
HERE = Path(__file__).parent
CHAIN = ("extract", "curate", "assemble", "deliver", "collect", "read", "reconcile")
READ_AT = "2026-03-02T05:30:00Z"
TURNS_MAX = 40


class Chain:
    """A demo folder in which objects start what the topology says, as EventBridge and SQS would."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        self.bundle = bundle
        self.folder = folder
        self.world = World.open(str(folder / "tieout.toml"))
        assert isinstance(self.world.clock, LedgerClock)
        self.clock = VirtualClock(self.world.clock, folder / "clock", folder / "acquirer" / "clock")
        self.clock.move(time_of(READ_AT))
        self.runs: dict[str, list[Ran]] = {name: [] for name in CHAIN}
        self._waiting: dict[str, list[str]] = {}
        self._seen: set[str] = set()

    @property
    def environment(self) -> dict[str, str]:
        return {"TIEOUT_CONFIG": str(self.folder / "tieout.toml"), "AWS_LAMBDA_FUNCTION_NAME": "tieout-test"}

    def send(self, stage: str, *bodies: str) -> None:
        """Handle these messages, and all that follows from the objects that are stored meanwhile."""
        self._waiting.setdefault(stage, []).extend(bodies)
        for _ in range(TURNS_MAX):
            if not self._waiting:
                return
            name = next(iter(self._waiting))
            self._handle(name, self._waiting.pop(name))
            for key in self._created():
                for each in stages_for(key):
                    self._waiting.setdefault(each.name, []).append(notice("b", key, 1))
        raise AssertionError("the chain does not come to rest")

    def _handle(self, stage: str, bodies: list[str]) -> None:
        records = [{"messageId": str(n), "body": body, "eventSource": "aws:sqs"} for n, body in enumerate(bodies)]
        ran = run_bare(
            self.bundle,
            stage,
            HERE / "bare_handler.py",
            FUNCTIONS[stage].handler,
            json.dumps({"Records": records}),
            environment=self.environment,
        )
        self.runs[stage].append(ran)

    def _created(self) -> list[str]:
        store = self.folder / "store"
        found = {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}
        fresh = sorted(found - self._seen)
        self._seen |= found
        return fresh


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    bundle = unpacked(tmp_path_factory.mktemp("bundle"))
    folder = tmp_path_factory.mktemp("chain") / "demo"
    prepare(folder, payments=60, seed=7, delays="none", formats=("delimited", "pain"))
    made = Chain(bundle, folder)
    command = [sys.executable, "-m", "local.acquirer", "--dir", str(folder)]
    acquirer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert acquirer.stdout is not None
        assert acquirer.stdout.readline().startswith("acquirer ready")
        run(made)
        yield made
    finally:
        acquirer.terminate()
        acquirer.wait(30)
        assert acquirer.stdout is not None
        acquirer.stdout.close()
        made.world.ledger.engine.dispose()


def run(chain: Chain) -> None:
    """From the source to the matches: what the scheduler would wake is woken by hand."""
    chain.send("extract", wake("legacy"))
    chain.send("deliver", *(wake(each.name) for each in chain.world.configuration.acquirer))
    tick = chain.clock.ask()
    until(lambda: chain.clock.answer(tick) is not None, "the acquirer's answer")
    chain.send("collect", *(wake(each.name) for each in chain.world.configuration.acquirer))
    chain.send("reconcile", *(wake(each.name) for each in chain.world.configuration.acquirer))


def test_nothing_is_missing_from_the_bundle(chain: Chain) -> None:
    """From a database to matched payments, over SFTP and back, no handler fails, each with its own layers only."""
    for stage in CHAIN:
        assert chain.runs[stage], f"{stage} was never called"
        for ran in chain.runs[stage]:
            assert ran.answer["answer"] == {"batchItemFailures": []}, f"{stage}: {ran.log}"
    with chain.world.ledger.look() as tx:
        files = tx.files.find()
    assert {each.acquirer for each in files} == {"northbank", "giro"}
    assert {each.state for each in files} <= {
        FileState.ACKNOWLEDGED,
        FileState.PARTIALLY_ACCEPTED,
        FileState.RECONCILED,
    }
    assert any((chain.folder / "store" / "matched").rglob("*.parquet"))


@pytest.mark.parametrize("stage", CHAIN)
def test_a_function_at_work_loads_its_own_packages_only(chain: Chain, stage: str) -> None:
    """Heavy packages of other functions are not loaded: a cold start does not pay for them."""
    for ran in chain.runs[stage]:
        assert ran.heavy <= ALLOWED[stage], ran.heavy - ALLOWED[stage]


@pytest.mark.parametrize("path", ["/", "/mismatches", "/healthz", "/static/page.css"])
def test_the_page_is_whole(chain: Chain, path: str) -> None:
    """Pages with their templates and styles come out of the bundle, with the page's layers only."""
    ran = run_bare(chain.bundle, "dashboard", HERE / "bare_page.py", path, environment=chain.environment)
    assert (ran.answer["status"], ran.answer["bytes"] > 0) == (200, True)
    assert ran.heavy <= ALLOWED["dashboard"], ran.heavy - ALLOWED["dashboard"]


def test_the_dashboard_shows_the_page_to_who_signed_in(chain: Chain) -> None:
    """The function itself, called as CloudFront calls it, checks a session and shows the books, with its layers only."""
    with oidc_provider() as provider:
        told = json.dumps({"address": ADDRESS, "client": CLIENT, "issuer": provider.issuer})
        environment = {**chain.environment, "TIEOUT_SIGN_IN": "env:SETTINGS", "SETTINGS": told}
        for cookies, status in ((), 303), ((f"{SESSION}={provider.token()}",), 200):
            request = json.dumps(event("/", cookies=cookies))
            handler = FUNCTIONS["dashboard"].handler
            program = HERE / "bare_handler.py"
            ran = run_bare(chain.bundle, "dashboard", program, handler, request, environment=environment)
            assert ran.answer["answer"]["statusCode"] == status, ran.log
            assert ran.heavy <= ALLOWED["dashboard"], ran.heavy - ALLOWED["dashboard"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_cold_import_of_a_function(chain: Chain, function: str) -> None:
    """With the adapters of AWS each function imports what its first message needs, and of the heavy packages no other's."""
    program = ROOT / "benchmarks" / "support" / "cold_start.py"
    ran = run_bare(chain.bundle, function, program, function, environment={"PATH": os.environ["PATH"]})
    print(f"cold import {function}: {ran.answer['cpu_ms']:.0f} CPU ms, {', '.join(ran.answer['packages'])}")
    assert ran.heavy <= ALLOWED[function], ran.heavy - ALLOWED[function]
