"""The stacks as they are deployed: real templates, real bundles and real handlers in an emulator, with a real PostgreSQL.

The scenarios follow each other in one deployment, each a fixture that needs the one before; what they lead to is compared
with what was planted on both sides.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.topology import BESIDE, TOPOLOGY
from local.demo import acquirer
from payments.books import Total, total_of
from runtime.ledger.audit import audit_records, faults
from tests.aws.chain import DEAD, PREFIX, Chain
from tests.aws.emulated_chain import emulated_chain, missing
from tests.aws.given_folder import PAYMENTS, SMALL
from tests.aws.scenarios import (
    Hundred,
    Measured,
    Redeployed,
    hundred_chunks,
    redeploy,
    tell_again,
    to_outbound,
    to_the_end,
)
from tests.pipeline import test_demo_truth as truth
from tests.servers import postgres
from tests.servers.process import until

pytestmark = [pytest.mark.xdist_group("aws"), pytest.mark.slow, pytest.mark.timeout(600)]
GARBAGE = "no notice at all"
HIDDEN_S = 10
"""How long a message that was not done stays hidden here; deployed it is minutes."""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    if missing():
        pytest.skip(missing())
    with postgres.postgres() as url, emulated_chain(tmp_path_factory.mktemp("deployed"), url) as found:
        for stage in TOPOLOGY:
            found.hide_for(stage.queue, HIDDEN_S)
        yield found


@pytest.fixture(scope="module")
def hundred(chain: Chain) -> Hundred:
    return hundred_chunks(chain, "hundred")


@pytest.fixture(scope="module")
def measured(chain: Chain, hundred: Hundred) -> Measured:
    return to_outbound(chain, "legacy")


@pytest.fixture(scope="module")
def redeployed(chain: Chain, measured: Measured) -> Redeployed:
    return redeploy(chain, "later")


@pytest.fixture(scope="module")
def ended(chain: Chain, redeployed: Redeployed) -> truth.Ran:
    """All runs delivered, answered and reconciled; until now nobody listened where the acquirer should be."""
    with acquirer(chain.folder):
        to_the_end(chain)
    planted = [_lines(chain.folder / "truth" / f"{name}.jsonl") for name in ("source", *SMALL)]
    with chain.world.ledger.look() as tx:
        files, mismatches = tx.files.find(), tx.mismatches.find(state="open")
    return truth.Ran(
        chain.folder,
        chain.statement().to_json(),
        [_summed([rows[0] for rows in planted]), *(row for rows in planted for row in rows[1:])],
        _lines(chain.folder / "truth" / "acquirer.jsonl"),
        files,
        mismatches,
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _summed(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """One summary of several sources."""
    outcomes = {name for each in summaries for name in each["by_outcome"]}
    by_outcome = {
        name: total_of(Total.from_json(each["by_outcome"][name]) for each in summaries if name in each["by_outcome"])
        for name in outcomes
    }
    return {
        "kind": "summary",
        "extracted": total_of(Total.from_json(each["extracted"]) for each in summaries).to_json(digest=True),
        "by_outcome": {name: total.to_json(digest=True) for name, total in by_outcome.items()},
    }


def archived(chain: Chain) -> dict[str, str]:
    """Name -> SHA-256 of every file that the acquirer has taken."""
    found = (chain.folder / "acquirer").glob("*/archive/*")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_a_hundred_chunks_in_flight(chain: Chain, hundred: Hundred) -> None:
    """Each chunk is curated once, though every notice came twice and out of order: none is lost and none counts double."""
    with chain.world.ledger.look() as tx:
        chunks = tx.chunks.find(source="hundred")
    assert hundred.chunks == len(chunks) >= 100
    assert Counter(each.state for each in chunks) == {"curated": len(chunks)}
    raw = [key.removeprefix("raw/") for key in chain.keys("raw/hundred/") if key.endswith(".parquet")]
    curated = [key.removeprefix("curated/") for key in chain.keys("curated/hundred/") if key.endswith(".parquet")]
    assert raw == curated
    assert len(chain.keys("curated/hundred/")) == len(raw) + 1, "and complete.json once"
    planted = _lines(chain.folder / "truth" / "hundred.jsonl")[0]
    assert Total.from_json(hundred.extracted).same_money(Total.from_json(planted["extracted"]))


def test_a_function_killed_at_work(chain: Chain, hundred: Hundred) -> None:
    """A process of curate that is killed in the middle of a message costs time, and nothing else."""
    assert hundred.killed > 0, "no process was at work when it was killed"
    with chain.world.ledger.look() as tx:
        assert {each.state for each in tx.runs.find(source="hundred")} == {"assembled"}
    assert chain.statement().faults == ()


def test_from_raw_to_outbound(chain: Chain, measured: Measured) -> None:
    """A run of 10,000 payments leads by itself from its raw objects to one outbound file for each acquirer."""
    print(
        f"\n{PAYMENTS} payments, warm: {measured.seconds:.2f} s from the first raw object to the last of "
        f"{measured.files} outbound files"
    )
    assert measured.files == 2
    assert measured.again == 0, "a message that fails comes again only after minutes"
    assert Total.from_json(measured.extracted).count >= PAYMENTS


def test_a_deployment_on_top_of_a_running_chain(chain: Chain, redeployed: Redeployed) -> None:
    """Functions get new code while a run is under way: the run ends as if nothing had happened."""
    assert redeployed.overlapped, "the run began when the deployment had ended"
    assert not set(redeployed.before.values()) & set(redeployed.after.values())
    with chain.world.ledger.look() as tx:
        assert {each.state for each in tx.runs.find(source="later")} == {"assembled"}
        assert {each.state for each in tx.chunks.find(source="later")} == {"curated"}


@pytest.mark.parametrize(
    "check",
    [
        truth.check_equations,
        truth.check_source,
        truth.check_delivery,
        truth.check_results,
        truth.check_details,
        truth.check_difference,
    ],
    ids=lambda check: check.__name__,
)
def test_the_books_are_what_was_planted(ended: truth.Ran, check: Any) -> None:
    """Delivered by SFTP, answered, collected and reconciled, the books tie, and differ by what the acquirer planted."""
    check(ended)


def test_one_configuration(chain: Chain, ended: truth.Ran) -> None:
    """Every run and every file names the hash of the same configuration, whichever function made it."""
    with chain.world.ledger.look() as tx:
        named = {each.config_hash for each in (*tx.runs.find(), *tx.files.find())}
    assert named == {chain.world.settings.config_hash}


def test_nothing_is_given_up(chain: Chain, ended: truth.Ran) -> None:
    """Whatever happened to the chain, no message of it lies among the dead letters, and the audit log is whole."""
    assert chain.dead() == {}
    with chain.world.ledger.engine.connect() as connection:
        assert list(faults(audit_records(connection))) == []


def test_every_notice_once_more(chain: Chain, ended: truth.Ran) -> None:
    """All notices of all stages, again and from the last to the first, change no book, no object and no file."""
    objects = chain.keys("")
    taken = archived(chain)
    with acquirer(chain.folder):
        assert tell_again(chain, reversed(objects)) > len(objects) / 3
        chain.settle()
    assert chain.statement().to_json() == ended.printed
    assert chain.keys("") == objects
    assert archived(chain) == taken


def test_a_poisoned_message(chain: Chain) -> None:
    """What no stage can read ends among the dead letters, is listed, and can be tried again."""
    dead = f"curate{DEAD}"
    chain.hide_for("curate", 1)
    try:
        chain.send("curate", GARBAGE)
        until(lambda: chain.waiting(dead) == 1, "the message to be given up", 60)
        listed = json.loads(chain.command("requeue", "--list", "--json").stdout)
        assert [(each["queue"], each["count"]) for each in listed["dead_letters"]] == [("curate", 1)]
        again = json.loads(chain.command("requeue", "--queue", "curate", "--json").stdout)
        assert again == {"requeued": {"curate": 1}, "left": {}}
        until(lambda: chain.waiting(dead) == 1, "the message to be given up again", 60)
    finally:
        chain.hide_for("curate", HIDDEN_S)
        chain.forget(dead)


def test_what_watches_the_chain_is_deployed(chain: Chain) -> None:
    """Each stage has an alarm about its dead letters, each function one about its errors, and all ring in the topic."""
    pages = chain.deployment.client("cloudwatch").get_paginator("describe_alarms").paginate()
    alarms = {each["AlarmName"]: each for page in pages for each in page["MetricAlarms"]}
    for stage in TOPOLOGY:
        alarm = alarms[f"{PREFIX}{stage.name}-dead-letters"]
        assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": f"{PREFIX}{stage.queue}{DEAD}"}]
        assert chain.waiting(stage.queue + DEAD) >= 0
    assert {f"{PREFIX}{each.name}-errors" for each in (*TOPOLOGY, *BESIDE)} <= set(alarms)
    [topic] = chain.deployment.client("sns").list_topics()["Topics"]
    assert {action for each in alarms.values() for action in each["AlarmActions"]} == {topic["TopicArn"]}


def test_extractions_are_scheduled(chain: Chain) -> None:
    """Each source has a schedule that starts its task at its time."""
    scheduler = chain.deployment.client("scheduler")
    for source in chain.world.configuration.source:
        found = scheduler.get_schedule(GroupName=f"{PREFIX}extraction", Name=f"{PREFIX}{source.name}-at-0630")
        # The zone stands in the template; the emulator does not take it over.
        assert found["ScheduleExpression"] == "cron(30 6 * * ? *)"
        assert f"task-definition/{PREFIX}task-{source.name}:" in found["Target"]["EcsParameters"]["TaskDefinitionArn"]
