"""The handlers: what each does with an event of SQS, what it imports, and how long it is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import functions
from functions import batch
from functions.topology import TOPOLOGY, Stage, stage_named, stages_for
from payments.errors import SetAside, Unreachable, WrongConfiguration
from payments.keys import ChunkKey, complete_key, manifest_key, outbound_key, reported_key
from runtime.notices import key_of, notice
from runtime.wakes import acquirer_of, subject_of, wake
from runtime.wiring import World
from tests.contract.ledger_world import NOON
from tests.servers.deletion_notices import deletion_notice
from tests.unit.local.small_world import world as small_world

DAY = NOON.date()
FOLDER = Path(functions.__file__).parent
RAW = ChunkKey("legacy", DAY, 1, 0).raw
SHA = "ab" * 32
HEAVY = {"boto3", "botocore", "duckdb", "paramiko", "sqlalchemy", "pyarrow", "numpy", "obstore", "lxml", "alembic"}
LINES_MAX = 30


def sqs_event(*bodies: str) -> dict[str, Any]:
    """As in the AWS Lambda Developer Guide, "Using Lambda with Amazon SQS"."""
    return {
        "Records": [
            {
                "messageId": f"059f36b4-87a3-44ab-83d2-66197584{number:04d}",
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1545082649183",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1545082649185",
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:tieout-deliver",
                "awsRegion": "us-east-2",
            }
            for number, body in enumerate(bodies)
        ]
    }


class RecordingWorld:
    """Stands in for the world: remembers what it was asked to do, and fails where it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.fails: dict[str, Exception] = {}

    key_in = staticmethod(key_of)
    acquirer_in = staticmethod(acquirer_of)

    def __getattr__(self, name: str) -> Any:
        def act(*given: Any) -> None:
            arguments = tuple(each for each in given if isinstance(each, str))
            self.asked.append((name, *arguments))
            for argument in arguments:
                if argument in self.fails:
                    raise self.fails[argument]

        return act


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingWorld]:
    recording = RecordingWorld()
    batch.use(recording)  # type: ignore[arg-type]
    yield recording
    batch._worlds.clear()


def handle(stage: str, *bodies: str) -> dict[str, Any]:
    module, _, name = stage_named(stage).handler.rpartition(".")
    answer: dict[str, Any] = getattr(import_module(module), name)(sqs_event(*bodies), None)
    return answer


@pytest.mark.parametrize(
    ("stage", "body", "asked"),
    [
        ("extract", wake("legacy"), ("extract_when_due", "legacy")),
        ("curate", notice("b", RAW, 1), ("curate_object", RAW)),
        ("curate", notice("b", manifest_key("legacy", DAY, 1), 1), ("curate_object", manifest_key("legacy", DAY, 1))),
        ("assemble", notice("b", complete_key("legacy", DAY, 1), 1), ("assemble",)),
        ("assemble", wake(""), ("assemble",)),
        ("deliver", notice("b", outbound_key("northbank", DAY, "f1", "a.csv"), 1), ("deliver_when_due", "northbank")),
        ("deliver", wake("northbank"), ("deliver_when_due", "northbank")),
        ("collect", wake("northbank"), ("collect_from", "northbank")),
        (
            "read",
            notice("b", f"results/northbank/{DAY}/{SHA}/a.ack", 1),
            ("read_result", f"results/northbank/{DAY}/{SHA}/a.ack"),
        ),
        ("reconcile", notice("b", reported_key("northbank", DAY, SHA), 1), ("reconcile_with", "northbank")),
        ("reconcile", wake("northbank"), ("reconcile_with", "northbank")),
        ("expire", deletion_notice(RAW), ("record_deletion", deletion_notice(RAW))),
    ],
)
def test_each_handler_asks_for_its_stage(world: RecordingWorld, stage: str, body: str, asked: tuple[str, ...]) -> None:
    """A notice or wake-up in an event of SQS becomes one call, and the answer says that nothing failed."""
    assert handle(stage, body) == {"batchItemFailures": []}
    assert world.asked == [asked]


def test_every_stage_was_tried_here() -> None:
    """A stage that joins the topology needs an example above; export, which is told by the page, has its own tests there."""
    marks = test_each_handler_asks_for_its_stage.pytestmark  # type: ignore[attr-defined]
    assert {example[0] for example in marks[0].args[1]} == {stage.name for stage in TOPOLOGY} - {"export"}


@pytest.mark.parametrize("error", [Unreachable("x"), SetAside("x"), WrongConfiguration("x"), RuntimeError("x")])
def test_only_the_failing_message_is_answered_as_failed(world: RecordingWorld, error: Exception) -> None:
    """Whatever one message raises, its neighbours are done, and it alone is named to come again."""
    world.fails["giro"] = error
    answer = handle("deliver", wake("northbank"), wake("giro"), "poison", wake("third"))
    failed = [each["messageId"] for each in sqs_event("", "", "")["Records"][1:]]
    assert answer == {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}
    assert [subject for _, subject in world.asked] == ["northbank", "giro", "third"]


def test_messages_that_all_fail_are_all_named(world: RecordingWorld) -> None:
    """Also then the handler answers instead of raising: each message is counted for itself."""
    assert len(handle("read", "poison", "{}", wake("northbank"))["batchItemFailures"]) == 3
    assert world.asked == []


def test_assemble_hears_what_is_told_to_it_only(world: RecordingWorld) -> None:
    """It looks at everything whoever a message is about; a text that is none of ours is given up all the same."""
    assert len(handle("assemble", "poison", "{}", '{"Records": []}')["batchItemFailures"]) == 3
    assert world.asked == []


def test_a_wake_up_for_a_source_that_nobody_has_is_refused(tmp_path: Path) -> None:
    """It becomes a dead letter; of a source that cannot be read the ledger knows, of this one nobody would."""
    at = small_world(tmp_path)
    batch.use(at)
    try:
        assert len(handle("extract", wake(""), wake("nobody"))["batchItemFailures"]) == 2
        with at.ledger.look() as tx:
            assert tx.contacts.count() == 0
    finally:
        batch._worlds.clear()
        at.ledger.engine.dispose()


def test_without_a_configuration_every_message_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The world is built with the first message, not at import; where it cannot be built, messages come again."""
    monkeypatch.setenv("TIEOUT_CONFIG", "/nowhere/tieout.toml")
    monkeypatch.setattr(batch, "_watches", [lambda _body: nullcontext()])
    assert len(handle("deliver", wake("a"), wake("b"))["batchItemFailures"]) == 2
    assert batch._worlds == []


def test_the_world_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All messages of a process share one world."""
    (tmp_path / "tieout.toml").write_text("")
    monkeypatch.setenv("TIEOUT_CONFIG", str(tmp_path / "tieout.toml"))
    try:
        assert batch.world() is batch.world()
        assert isinstance(batch.world(), World)
    finally:
        batch._worlds.clear()


@pytest.mark.parametrize("stage", TOPOLOGY, ids=lambda each: each.name)
def test_a_handler_imports_nothing_heavy(stage: Stage, pytestconfig: pytest.Config) -> None:
    """A cold start imports the handler alone; drivers, engines and vendors' packages come with the first message."""
    code = f"import sys, {stage.handler.rpartition('.')[0]}; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=pytestconfig.rootpath, capture_output=True, text=True, timeout=60, check=True
    )
    assert HEAVY & set(done.stdout.split()) == set()


def test_handlers_are_short() -> None:
    """A handler decides nothing: its module has at most 30 lines."""
    for stage in TOPOLOGY:
        path = FOLDER / f"{stage.handler.split('.')[1]}.py"
        assert len(path.read_text().splitlines()) <= LINES_MAX, path.name


def test_the_topology_needs_the_standard_library_only(pytestconfig: pytest.Config) -> None:
    """Deployment reads the table without installing the product."""
    code = "import sys; sys.path.insert(0, '.'); import functions.topology; print(*sorted(sys.modules))"
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, cwd=pytestconfig.rootpath, capture_output=True, text=True, timeout=60, check=True)
    found = {name.partition(".")[0] for name in done.stdout.split()}
    assert found - set(sys.stdlib_module_names) - {"__main__"} == {"functions"}


@pytest.mark.parametrize(
    ("key", "stages"),
    [
        (RAW, ["curate"]),
        (manifest_key("legacy", DAY, 1), ["curate"]),
        (complete_key("legacy", DAY, 1), ["assemble"]),
        (ChunkKey("legacy", DAY, 1, 0).curated, []),
        (ChunkKey("legacy", DAY, 1, 0).quarantine, []),
        (outbound_key("northbank", DAY, "f1", "a.csv"), ["deliver"]),
        (reported_key("northbank", DAY, SHA), ["reconcile"]),
        ("rawer/x.parquet", []),
        ("index/00000001.parquet", []),
    ],
)
def test_an_object_starts_the_stages_that_wait_for_it(key: str, stages: list[str]) -> None:
    """The topology says by prefix and suffix which stage an object starts; most start none."""
    assert [stage.name for stage in stages_for(key)] == stages


def test_stages_have_names_queues_and_bounds_of_their_own() -> None:
    """No two stages share a name, batches fit SQS, and an invocation fits Lambda."""
    assert len({stage.name for stage in TOPOLOGY}) == len({stage.queue for stage in TOPOLOGY}) == len(TOPOLOGY)
    assert all(1 <= stage.batch_size <= 10 and 0 < stage.timeout_s <= 900 for stage in TOPOLOGY)
    with pytest.raises(KeyError):
        stage_named("nobody")


# Wake-ups


@pytest.mark.parametrize("subject", ["northbank", "a-1", ""])
def test_a_wake_up_comes_back(subject: str) -> None:
    """What is written as a wake-up is read as its subject, and the same subject gives the same bytes."""
    assert subject_of(wake(subject)) == subject
    assert wake(subject) == wake(subject)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "x",
        "[]",
        "null",
        "7",
        "{}",
        json.dumps({"source": "tieout", "detail-type": "Wake"}),
        json.dumps({"source": "tieout", "detail-type": "Wake", "detail": {"subject": 7}}),
        json.dumps({"source": "tieout", "detail-type": "Wake", "detail": {"subject": "../x"}}),
        json.dumps({"source": "tieout", "detail-type": "Wake", "detail": ["northbank"]}),
        json.dumps({"source": "else", "detail-type": "Wake", "detail": {"subject": "northbank"}}),
        json.dumps({"source": "tieout", "detail-type": "Sleep", "detail": {"subject": "northbank"}}),
        "[" * 100_000,
    ],
)
def test_anything_else_is_no_wake_up(body: str) -> None:
    """A body of another form is set aside: it names nobody."""
    with pytest.raises(SetAside):
        subject_of(body)
    with pytest.raises(SetAside):
        acquirer_of(body)


def test_a_notice_wakes_the_acquirer_of_its_key() -> None:
    """Deliver and reconcile are woken by objects too: the second part of the key is the acquirer."""
    assert acquirer_of(notice("b", reported_key("northbank", DAY, SHA), 1)) == "northbank"
    with pytest.raises(SetAside):
        acquirer_of(notice("b", "outbound", 1))
