"""The stacks as they are deployed: real templates, real bundles and real handlers in an emulator, with a real PostgreSQL.

The scenarios follow each other in one deployment, each a fixture that needs the one before; what they lead to is compared
with what was planted on both sides.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from functions.topology import BESIDE, TOPOLOGY
from local.demo import acquirer
from payments.books import Total
from payments.deletions import unsettled
from payments.errors import Gone
from runtime.ledger.audit import audit_records, faults
from runtime.wakes import wake
from tests.aws.assembly import PREFIX
from tests.aws.chain import DEAD, HIDDEN_S, Chain
from tests.aws.deployed_page import NOBODYS, DeployedPage, deployed_page, fetched_by_anybody, many_mismatches
from tests.aws.given_folder import PAYMENTS
from tests.aws.people import Person, is_denied, role_is_refused
from tests.aws.planted import archived, lines
from tests.aws.scenarios import AT_THE_END, Hundred, Measured, Redeployed, tell_again
from tests.aws.traced import check_traces
from tests.pipeline import test_demo_truth as truth
from tests.servers.deletion_notices import deletion_notice
from tests.servers.ministack import ACCOUNT, REGION
from tests.servers.process import until

pytestmark = [pytest.mark.xdist_group("aws"), pytest.mark.slow, pytest.mark.timeout(600)]
GARBAGE = "no notice at all"
HOURS_S = 21_600


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
    planted = lines(chain.folder / "truth" / "hundred.jsonl")[0]
    assert Total.from_json(hundred.extracted).same_money(Total.from_json(planted["extracted"]))


def test_a_function_killed_at_work(chain: Chain, hundred: Hundred) -> None:
    """A process of curate that is killed in the middle of a message costs time, and nothing else."""
    assert hundred.curate_killed > 0, "no process was at work when it was killed"
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


def test_every_stage_that_has_a_lease_was_killed_once(killed: frozenset[str]) -> None:
    """assemble, deliver, collect and reconcile died in the middle of their work; what follows shows that nothing came of it."""
    assert killed == {"assemble", *AT_THE_END}


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


def test_what_functions_did_is_traced(chain: Chain, ended: truth.Ran) -> None:
    """Each message is a subsegment of its invocation, which names what it was about."""
    check_traces(chain)


def test_every_notice_once_more(chain: Chain, ended: truth.Ran) -> None:
    """All notices of all stages, again and from the last to the first, change no book, no object and no file."""
    objects = chain.keys("")
    taken = archived(chain.folder)
    with acquirer(chain.folder):
        assert tell_again(chain, reversed(objects)) > len(objects) / 3
        chain.settle()
    assert chain.statement().to_json() == ended.printed
    assert chain.keys("") == objects
    assert archived(chain.folder) == taken


def test_a_poisoned_message(chain: Chain) -> None:
    """What no stage can read ends soon among the dead letters, is listed, and an operator can have it tried again."""
    dead = f"curate{DEAD}"
    # Nobody waits for that: the function says itself when a message that failed comes again.
    chain.hide_for("curate", HOURS_S)
    try:
        chain.send("curate", GARBAGE)
        until(lambda: chain.waiting(dead) == 1, "the message to be given up", 60)
        operator = Person(chain, "operator")
        listed = json.loads(operator.runs("requeue", "--list", "--json").stdout)
        assert [(each["queue"], each["count"]) for each in listed["dead_letters"]] == [("curate", 1)]
        again = json.loads(operator.runs("requeue", "--queue", "curate", "--json").stdout)
        assert again == {"requeued": {"curate": 1}, "left": {}}
        until(lambda: chain.waiting(dead) == 1, "the message to be given up again", 60)
    finally:
        chain.hide_for("curate", HIDDEN_S)
        chain.forget(dead)


def test_an_extraction_that_is_under_way_is_asked_for_anew(chain: Chain) -> None:
    """Whoever asks for a source that is being read is no dead letter: extract sends the same wake-up again, for later."""
    leases = chain.world.ledger.leases
    lease = leases.acquire("source:hundred", ttl=timedelta(minutes=10))
    assert lease is not None
    chain.hide_for("extract", HOURS_S)
    try:
        chain.send("extract", wake("hundred"))
        until(lambda: chain.delayed("extract") == 1 == chain.waiting("extract"), "the wake-up to be sent anew", 60)
        assert chain.waiting(f"extract{DEAD}") == 0
    finally:
        chain.forget("extract")
        chain.hide_for("extract", HIDDEN_S)
        leases.release(lease)


@pytest.fixture(scope="module")
def page(chain: Chain) -> Iterator[DeployedPage]:
    with deployed_page(chain) as found:
        yield found


def test_the_page_is_shown_to_who_signed_in(ended: truth.Ran, page: DeployedPage) -> None:
    """Strangers are sent to sign in, and whoever comes back sees the books of the chain, as the deployed bundle makes them."""
    stranger = page.get("/")
    assert (stranger["statusCode"], stranger["cookies"] != []) == (303, True)
    assert page.get("/status.json")["statusCode"] == 303
    assert page.get("/", session="no-token")["statusCode"] == 303
    assert page.get("/", session=page.token(**{"cognito:groups": ["nobody"]}))["statusCode"] == 403
    session = page.token()
    answer = page.get("/", session=session)
    assert answer["statusCode"] == 200, answer["body"]
    assert ended.files[0].name in answer["body"]
    assert answer["headers"]["content-security-policy"].startswith("default-src 'self'; script-src 'none'")
    shown = json.loads(page.get("/status.json", session=session)["body"])
    assert {name: shown[name] for name in ended.printed} == ended.printed
    assert page.get("/static/page.css")["statusCode"] == 200
    assert page.get(f"/files/{ended.files[0].file_id}", session=session)["statusCode"] == 200


def test_a_long_list_is_exported_by_a_job(chain: Chain, ended: truth.Ran, page: DeployedPage) -> None:
    """The page asks for it, export writes it, and a link of the store gives it for minutes to whoever asked, to nobody else."""
    session = page.token()
    with many_mismatches(chain, 5_000):
        asked = page.get("/exports/mismatches.csv", f"acquirer={NOBODYS}", session=session)
        assert asked["statusCode"] == 303, asked["body"]
        where, _, since = asked["headers"]["location"].partition("?")
        until(lambda: "is written" in page.get(where, since, session=session)["body"], "the export", 60)
    link = page.get(f"{where}/mismatches.csv", session=session)
    assert link["statusCode"] == 303
    assert "X-Amz-Expires=300" in link["headers"]["location"]
    content = fetched_by_anybody(link["headers"]["location"])
    assert content.count(b"\r\n") == 5_001
    other = page.token(sub="subject-2")
    assert page.get(f"{where}/mismatches.csv", session=other)["statusCode"] == 404
    with chain.world.ledger.engine.connect() as connection:
        assert [each.actor for each in audit_records(connection, "exports")] == ["subject-1"]


def test_calls_are_checked_against_the_roles_of_the_templates(chain: Chain, ended: truth.Ran) -> None:
    """Whatever these tests show was allowed to whoever did it: what a policy lacks is refused, and so is what it lost."""
    person = Person(chain, "auditor")
    s3, iam = person.client("s3"), chain.deployment.client("iam")
    bucket, key = f"{PREFIX}raw-{ACCOUNT}-{REGION}", chain.keys("raw/hundred/")[0]
    assert s3.get_object(Bucket=bucket, Key=key)["ContentLength"] > 0
    assert is_denied(lambda: s3.put_object(Bucket=bucket, Key="raw/x/y", Body=b"", IfNoneMatch="*"))
    assert is_denied(lambda: s3.delete_object(Bucket=bucket, Key=key))
    [policy] = iam.list_role_policies(RoleName=person.task.role)["PolicyNames"]
    kept = iam.get_role_policy(RoleName=person.task.role, PolicyName=policy)["PolicyDocument"]
    iam.delete_role_policy(RoleName=person.task.role, PolicyName=policy)
    assert is_denied(lambda: s3.get_object(Bucket=bucket, Key=key))
    iam.put_role_policy(RoleName=person.task.role, PolicyName=policy, PolicyDocument=json.dumps(kept))


def test_an_auditor_proves_and_changes_nothing(chain: Chain, ended: truth.Ran) -> None:
    """Status, traces, certificates and the audit log can be had in that role; an act is refused by ledger and queues."""
    auditor = Person(chain, "auditor")
    file = ended.files[0]
    for words in (("status",), ("trace", file.name), ("prove", file.name), ("prove", "hundred/1"), ("audit", "verify")):
        done = auditor.runs(*words, "--json")
        assert done.returncode in {0, 1}, done.stderr
        assert json.loads(done.stdout), done.stderr
    before = chain.statement().to_json()
    assert auditor.runs("deliveries", "stop", "--why", "x").returncode != 0
    sqs = auditor.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{PREFIX}deliver")["QueueUrl"]
    assert is_denied(lambda: sqs.send_message(QueueUrl=url, MessageBody="x"))
    assert chain.statement().to_json() == before
    assert role_is_refused(chain, "auditor", "auditor"), "without a second factor"
    assert role_is_refused(chain, "auditor", "somebody"), "not named"


def test_the_ledger_is_told_what_is_gone(chain: Chain, hundred: Hundred) -> None:
    """Who deletes an object rings until its marker is removed. What a rule takes is known as expired, and rings not at all."""
    store, s3, bucket = chain.world.store, chain.deployment.client("s3"), f"{PREFIX}raw-{ACCOUNT}-{REGION}"
    deleted, expired = chain.keys("raw/hundred/")[:2]

    def gone() -> list[str]:
        with chain.world.ledger.look() as tx:
            return [each.key for each in unsettled(tx)]

    marker = s3.delete_object(Bucket=bucket, Key=deleted)["VersionId"]
    until(lambda: gone() == [deleted], "the ledger to be told of the deletion", 60)
    with pytest.raises(Gone, match="was deleted, not by a lifecycle rule"):
        store.get(deleted)
    s3.delete_object(Bucket=bucket, Key=deleted, VersionId=marker)
    until(lambda: gone() == [], "the ledger to be told that it is back", 60)
    assert store.exists(deleted)
    # The emulator keeps lifecycle rules and never follows them: the notice is sent by hand.
    chain.send("expire", deletion_notice(expired, bucket=bucket))
    until(lambda: chain.idle() and _expired(chain) == {"raw": 1}, "the ledger to be told what expired", 60)
    assert gone() == []


def _expired(chain: Chain) -> dict[str, int]:
    with chain.world.ledger.look() as tx:
        return tx.deletions.counts_by("store", cause="lifecycle")


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
