"""What each role may do, and above all what it may not: computed from the policies of the templates."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from functions.topology import BESIDE, TOPOLOGY, Stage
from tests.synth import CONFIG
from tests.templates import ACCOUNT, REGION, Role, Templates

STORES = {
    "raw": "raw",
    "curated": "curated",
    "quarantine": "curated",
    "exports": "curated",
    "expected": "outbound",
    "manifests": "outbound",
    "outbound": "outbound",
    "index": "outbound",
    "pool": "outbound",
    "redeliveries": "outbound",
    "results": "results",
    "reported": "results",
    "matched": "results",
    "open": "results",
    "heads": "audit",
}
TABLE = CONFIG.parent / "agents.csv"
SECRETS = {
    "core": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:tieout/core-AbCdEf",
    "bank": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:tieout/bank-key-GhIjKl",
}
STAGES = pytest.mark.parametrize("stage", TOPOLOGY, ids=lambda stage: stage.name)
FUNCTIONS = [*(stage.name for stage in TOPOLOGY), *(beside.name for beside in BESIDE)]
CHAIN = [stage.name for stage in TOPOLOGY]


def reach(role: Role, templates: Templates, action: str) -> set[str]:
    """The stores in which `role` may do `action` to an object."""
    return {
        store
        for store, bucket in STORES.items()
        if role.may(action, templates.object_arn(bucket, f"{store}/bank/2026-03-02/x"))
    }


def users(role: Role, names: list[str]) -> set[str]:
    """As which users of the ledger `role` may log in."""
    ledger = next(iter(role.resources_of("rds-db:connect")), "/").rpartition("/")[0]
    return {name for name in [*names, "owner"] if role.may("rds-db:connect", f"{ledger}/tieout_{name}")}


@STAGES
def test_a_stage_reads_and_writes_its_own_stores_only(dev: Templates, stage: Stage) -> None:
    """The prefixes of the topology, no other prefix of the same bucket, no other bucket; nobody deletes or unlocks."""
    role = dev.role_of(stage.name)
    assert reach(role, dev, "s3:GetObject") == {*stage.reads, *stage.writes}
    assert reach(role, dev, "s3:PutObject") == set(stage.writes)
    for action in (
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:PutObjectRetention",
        "s3:BypassGovernanceRetention",
        "s3:PutObjectAcl",
        "s3:PutObjectTagging",
    ):
        assert not reach(role, dev, action)
    for bucket in set(STORES.values()):
        assert not role.may("s3:PutObject", dev.object_arn(bucket, "x"))
        assert not role.may("s3:PutBucketPolicy", f"arn:aws:s3:::{dev.bucket(bucket)}")


@STAGES
def test_a_stage_lists_its_own_stores_only(dev: Templates, stage: Stage) -> None:
    """Listing needs a prefix, and the prefix must be one of its stores'."""
    role = dev.role_of(stage.name)
    listed = {
        store
        for store, bucket in STORES.items()
        if role.may("s3:ListBucket", f"arn:aws:s3:::{dev.bucket(bucket)}", s3__prefix=f"{store}/bank/")
    }
    assert listed == {*stage.reads, *stage.writes}
    for bucket in set(STORES.values()):
        assert not role.may("s3:ListBucket", f"arn:aws:s3:::{dev.bucket(bucket)}")
        assert not role.may("s3:ListBucket", f"arn:aws:s3:::{dev.bucket(bucket)}", s3__prefix="")


@STAGES
def test_a_stage_receives_from_its_own_queue_only(dev: Templates, stage: Stage) -> None:
    """It takes and deletes messages there, and says when one comes again; extract alone sends to its own; nobody purges one."""
    role = dev.role_of(stage.name)
    for name in CHAIN:
        for queue in (name, f"{name}-dead"):
            own = queue == stage.queue
            assert role.may("sqs:ReceiveMessage", dev.queue_arn(queue)) == own
            assert role.may("sqs:DeleteMessage", dev.queue_arn(queue)) == own
            assert role.may("sqs:ChangeMessageVisibility", dev.queue_arn(queue)) == own
            assert role.may("sqs:SendMessage", dev.queue_arn(queue)) == (own and stage.name == "extract")
            assert not role.may("sqs:PurgeQueue", dev.queue_arn(queue))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_opens_its_own_secrets_only(dev: Templates, name: str) -> None:
    """The acquirer's key is for who speaks with the acquirer, the source's password for who reads the source."""
    role = dev.role_of(name)
    opened = {secret for secret, arn in SECRETS.items() if role.may("secretsmanager:GetSecretValue", arn)}
    assert opened == {"deliver": {"bank"}, "collect": {"bank"}, "extract": {"core"}}.get(name, set())
    other = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:somebody-else-AbCdEf"
    for action in ("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"):
        assert not role.may(action, other)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_log_ins_and_keys_are_opened_by_different_functions(full: Templates, name: str) -> None:
    """Who delivers cannot read what is encrypted for us or sign in our name; who assembles and reads cannot log in anywhere."""
    log_ins = {"bank-key", "second-key", "access", "secret"}
    expected = {
        "deliver": log_ins,
        "collect": log_ins,
        "assemble": {"recipient", "signing"},
        "read": {"opening"},
        "extract": {"core"},
    }
    arns = full.role_of(name).resources_of("secretsmanager:GetSecretValue")
    found = {arn.partition(":secret:tieout/")[2].rpartition("-")[0] for arn in arns if ":secret:tieout/" in arn}
    assert found == expected.get(name, set())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_logs_in_as_its_own_user_only(dev: Templates, name: str) -> None:
    """Each is one user of the database; migrate is the owner, by a password, and no other user."""
    assert users(dev.role_of(name), FUNCTIONS) == (set() if name == "migrate" else {name})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_key_is_used_through_services_only(dev: Templates, name: str) -> None:
    """Nobody decrypts by calling KMS, and nobody changes the key."""
    role = dev.role_of(name)
    for key in role.resources_of("kms:Decrypt"):
        assert key.startswith("storage/Key")
        assert not role.may("kms:Decrypt", key)
        assert not role.may("kms:Decrypt", key, kms__ViaService=f"ec2.{REGION}.amazonaws.com")
        used = "secretsmanager" if name == "dashboard" else "s3"
        assert role.may("kms:Decrypt", key, kms__ViaService=f"{used}.{REGION}.amazonaws.com")
        assert not role.may("kms:PutKeyPolicy", key, kms__ViaService=f"s3.{REGION}.amazonaws.com")


@STAGES
def test_a_stage_encrypts_only_where_it_stores(dev: Templates, stage: Stage) -> None:
    """Who only reads can decrypt, and can make no data key."""
    role = dev.role_of(stage.name)
    assert bool(role.resources_of("kms:GenerateDataKey")) == bool(stage.writes)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_policy_is_wide(dev: Templates, name: str) -> None:
    """No action holds a wildcard, no managed policy is attached, and only what knows no resource has `*` as one."""
    role = dev.role_of(name)
    assert role.managed == []
    for each in role.statements:
        actions = each["Action"] if isinstance(each["Action"], list) else [each["Action"]]
        assert not [action for action in actions if "*" in action]
        if each["Effect"] == "Allow" and each["Resource"] == "*":
            assert {action.partition(":")[0] for action in actions} <= {"ec2", "xray"}
    assert [each["Principal"] for each in role.trusted] == [{"Service": "lambda.amazonaws.com"}]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_code_in_a_function_cannot_make_network_interfaces(dev: Templates, name: str) -> None:
    """That right is Lambda's own: a call from inside the function is denied."""
    role = dev.role_of(name)
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:tieout-dev-{name}"
    assert role.may("ec2:CreateNetworkInterface", "*")
    assert not role.may("ec2:CreateNetworkInterface", "*", lambda__SourceFunctionArn=arn)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_reads_its_configuration_and_writes_its_own_logs(dev: Templates, name: str) -> None:
    """The one object of the configuration, nothing else beside it; the one log group."""
    role = dev.role_of(name)
    bucket, _, key = (
        dev.function(name)["Environment"]["Variables"]["TIEOUT_CONFIG"].removeprefix("s3://").partition("/")
    )
    assert role.may("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
    assert not role.may("s3:GetObject", f"arn:aws:s3:::{bucket}/another.toml")
    for other in FUNCTIONS:
        stream = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/tieout/dev/{other}:log-stream:s"
        assert role.may("logs:PutLogEvents", stream) == (other == name)
    assert not role.may("logs:DeleteLogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/tieout/dev/{name}")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_curate_alone_reads_the_reference_table(dev: Templates, full: Templates, name: str) -> None:
    """The one object: the asset that was made of a file, or the object that the configuration names in S3."""
    told = overrides(full, name)["curation"]["reference_table"]
    bucket, _, key = told["path"].removeprefix("s3://").partition("/")
    for templates, asked in ((full, f"{bucket}/{key}"), (dev, "reference-data/agents/agents.csv")):
        role = templates.role_of(name)
        assert role.may("s3:GetObject", f"arn:aws:s3:::{asked}") == (name == "curate")
        assert not role.may("s3:GetObject", f"arn:aws:s3:::{asked}.old")
        assert not role.may("s3:PutObject", f"arn:aws:s3:::{asked}")


def test_every_function_names_the_same_reference_table(dev: Templates, full: Templates) -> None:
    """So that all name one hash of the configuration, which another file changes; what lies in S3 is named by its own address."""
    told = [overrides(full, name)["curation"] for name in FUNCTIONS]
    assert told == [told[0]] * len(told)
    assert told[0]["reference_table"]["sha256"] == hashlib.sha256(TABLE.read_bytes()).hexdigest()
    tasks = [
        json.loads(each["Value"])["curation"]
        for definition in full.of("AWS::ECS::TaskDefinition").values()
        for each in definition["Properties"]["ContainerDefinitions"][0]["Environment"]
        if each["Name"] == "TIEOUT_OVERRIDES"
    ]
    assert tasks == [told[0]] * len(tasks)
    assert len(tasks) == 4, "one source, the deliveries, and those of auditors and operators"
    assert "curation" not in overrides(dev, "curate")


def overrides(templates: Templates, name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(templates.function(name)["Environment"]["Variables"]["TIEOUT_OVERRIDES"])
    return told


def test_tick_sends_wake_ups_and_touches_no_object(dev: Templates) -> None:
    """It sends to every stage's queue, receives from none, and reaches no store and no secret."""
    role = dev.role_of("tick")
    for name in CHAIN:
        assert role.may("sqs:SendMessage", dev.queue_arn(name))
        assert not role.may("sqs:SendMessage", dev.queue_arn(f"{name}-dead"))
        assert not role.may("sqs:ReceiveMessage", dev.queue_arn(name))
    assert not reach(role, dev, "s3:GetObject")
    assert not role.resources_of("secretsmanager:GetSecretValue")


def test_the_dashboard_reaches_its_sign_in_only(dev: Templates) -> None:
    """No secret of a source or an acquirer, no store but that of exports: its pages come from the ledger."""
    role = dev.role_of("dashboard")
    assert reach(role, dev, "s3:GetObject") == {"exports"}
    assert not reach(role, dev, "s3:PutObject")
    assert role.resources_of("sqs:SendMessage") == {f"arn:aws:sqs:{REGION}:{ACCOUNT}:tieout-dev-export"}
    assert role.resources_of("secretsmanager:GetSecretValue") == {
        f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:tieout-dev-sign-in-??????"
    }


def test_migrate_opens_the_owners_password_and_nothing_else(dev: Templates) -> None:
    """It touches no object and no queue."""
    role = dev.role_of("migrate")
    [secret] = role.resources_of("secretsmanager:GetSecretValue")
    assert secret.endswith("MasterUserSecret.SecretArn")
    assert not reach(role, dev, "s3:GetObject")
    assert not role.resources_of("sqs:SendMessage")


def test_a_sources_task_writes_raw_and_opens_its_own_secret(dev: Templates) -> None:
    """As the extract function does, with a user of its own; its starter may pull the image and write logs."""
    role = dev.task_role("core")
    assert reach(role, dev, "s3:PutObject") == reach(role, dev, "s3:GetObject") == {"raw", "curated"}
    assert role.resources_of("secretsmanager:GetSecretValue") == {SECRETS["core"]}
    assert users(role, [*FUNCTIONS, "task_core"]) == {"task_core"}
    assert not role.resources_of("sqs:SendMessage")
    task = dev.properties("AWS::ECS::TaskDefinition", "extraction")
    starter = Role(dev, task["ExecutionRoleArn"].removesuffix(".Arn"))
    assert {each.partition(":")[0] for s in starter.statements for each in _actions(s)} == {"ecr", "logs"}


def test_who_anchors_audit_heads_cannot_write_the_ledger(dev: Templates) -> None:
    """That role puts and reads heads, deletes nothing, and logs in as a reader; and no other role can put a head."""
    role = dev.role_of("anchor")
    assert reach(role, dev, "s3:PutObject") == reach(role, dev, "s3:GetObject") == {"heads"}
    assert not reach(role, dev, "s3:DeleteObject")
    assert not reach(role, dev, "s3:BypassGovernanceRetention")
    assert users(role, FUNCTIONS) == {"anchor"}
    assert not role.resources_of("sqs:SendMessage")
    for other in set(FUNCTIONS) - {"anchor"}:
        assert "heads" not in reach(dev.role_of(other), dev, "s3:PutObject")


def _actions(statement: dict) -> list[str]:
    return statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
