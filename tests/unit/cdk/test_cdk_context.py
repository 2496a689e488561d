"""What is refused before anything is deployed: contexts and configurations that cannot work."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdk.configuration import Configuration, ReferenceFile, read_configuration
from cdk.connections import check_connections, connections_by_user, connections_max
from cdk.environment import Environment, WrongContext
from curation.reference import BYTES_MAX
from runtime.settings import load
from tests.synth import CONFIG

EXAMPLE = Path("cdk/examples/tieout.toml")
ENVIRONMENTS = json.loads(Path("cdk.json").read_text())["context"]["environments"]


def example(**changes: str) -> str:
    text = EXAMPLE.read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


@pytest.fixture
def configuration() -> Configuration:
    return read_configuration(EXAMPLE)


def test_the_example_is_a_configuration_of_the_product() -> None:
    """What the templates are made of is read by the product as well."""
    found = load(str(EXAMPLE)).configuration
    assert [each.name for each in found.source] == ["core"]
    assert [each.name for each in found.acquirer] == ["bank"]
    assert len(load(str(CONFIG)).configuration.acquirer) == 3


def referring(folder: Path, **table: str) -> Path:
    """The example with a reference table, in a folder of its own."""
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
    config = folder / "tieout.toml"
    config.write_text(f"{EXAMPLE.read_text()}\n[curation.reference_table]\n{lines}")
    return config


def test_a_reference_table_is_a_file_beside_the_configuration_or_an_object(tmp_path: Path) -> None:
    """A file is taken with its hash, an object by its name; there may be none."""
    (tmp_path / "agents.csv").write_text("bic,name\n")
    digest = hashlib.sha256(b"bic,name\n").hexdigest()
    wanted = ReferenceFile(path=tmp_path / "agents.csv", sha256=digest)
    assert read_configuration(referring(tmp_path, path="agents.csv")).reference == wanted
    assert read_configuration(referring(tmp_path, path="agents.csv", sha256=digest)).reference == wanted
    found = read_configuration(referring(tmp_path, path="s3://data/a/b.csv")).reference
    assert found == ReferenceFile(bucket="data", key="a/b.csv")
    assert read_configuration(EXAMPLE).reference is None


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"path": "other.csv"}, "there is no file 'other.csv'"),
        ({}, "there is no file ''"),
        ({"path": "s3://data"}, "names no object"),
        ({"path": "s3:///a.csv"}, "names no object"),
        ({"path": "large.csv"}, f"more than {BYTES_MAX} bytes"),
        ({"path": "agents.csv", "sha256": "00" * 32}, "sha256: it is not that of 'agents.csv'"),
    ],
)
def test_a_reference_table_that_cannot_be_deployed_is_refused(tmp_path: Path, table: dict[str, str], said: str) -> None:
    """Before anything is deployed: what is missing, too large for curation, or another file than the one that is named."""
    (tmp_path / "agents.csv").write_text("bic,name\n")
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(BYTES_MAX + 1)
    with pytest.raises(WrongContext, match=re.escape(said)):
        read_configuration(referring(tmp_path, **table))


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_every_environment_of_cdk_json_can_be_read(name: str, configuration: Configuration) -> None:
    """And its ledger is large enough for the example."""
    environment = Environment.read(name, ENVIRONMENTS)
    check_connections(environment, configuration)
    assert environment.named("raw") == f"tieout-{name}-raw"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"zone": 2}, "'zone' is no key"),
        ({"zones": 4}, "zones is 2 or 3"),
        ({"zones": 2, "nat_addresses": 3}, "nat_addresses"),
        ({"capacity_min": 0.7}, "steps of 0.5"),
        ({"capacity_min": 8, "capacity_max": 4}, "capacity_min"),
        ({"locked_days": 0}, "locked_days"),
        ({"account": "111122223333"}, "account and region"),
        ({"domain": "payments.example.net"}, "domain and certificate"),
        ({"vpn_address": "198.51.100.7"}, "on_premises"),
        ({"eks_cluster": "legacy"}, "eks_cluster"),
        ({"auditors": ["arn:aws:iam::111122223333:root"]}, "never of a whole account"),
        ({"operators": ["*"]}, "never of a whole account"),
        ({"log_days": 31}, "log_days"),
    ],
)
def test_an_environment_that_cannot_be_deployed_is_refused(changes: dict[str, Any], said: str) -> None:
    """The message names the environment and what is allowed."""
    with pytest.raises(WrongContext, match=said) as raised:
        Environment.read("dev", {"dev": {**ENVIRONMENTS["dev"], **changes}})
    assert "environments.dev" in str(raised.value)


@pytest.mark.parametrize("name", ["nowhere", "Dev", "", "a" * 17])
def test_an_unknown_environment_is_refused(name: str) -> None:
    """The known ones are named."""
    with pytest.raises(WrongContext, match="dev, staging, prod"):
        Environment.read(name, ENVIRONMENTS)


def test_a_ledger_too_small_for_everybody_is_refused(configuration: Configuration) -> None:
    """Many sources at the smallest capacity need more than four fifths of its connections; the message says what to raise."""
    many = replace(configuration, sources=tuple(replace(configuration.sources[0], name=f"s{n}") for n in range(30)))
    environment = Environment.read("dev", ENVIRONMENTS)
    assert sum(connections_by_user(environment, many).values()) > 0.8 * connections_max(environment)
    with pytest.raises(WrongContext, match="raise capacity_min"):
        check_connections(environment, many)
    check_connections(replace(environment, capacity_min=2), many)


def test_secrets_are_found_by_table(configuration: Configuration) -> None:
    """Each stage asks for the tables that it reads, and is given no other secret."""
    assert len(configuration.secrets("source")) == 1
    assert configuration.secrets("acquirer.sftp") == configuration.secrets("acquirer")
    for table in ("acquirer.s3", "acquirer.encode", "acquirer.results"):
        assert configuration.secrets(table) == ()


def test_a_field_of_a_secret_is_the_whole_secret_to_its_policy(tmp_path: Path) -> None:
    """`#FIELD` is no part of the ARN."""
    path = tmp_path / "tieout.toml"
    path.write_text(example(**{"tieout/core-AbCdEf": "tieout/core-AbCdEf#password"}))
    assert read_configuration(path).secrets("source") == read_configuration(EXAMPLE).secrets("source")


def test_a_secret_without_its_end_is_refused(tmp_path: Path) -> None:
    """AWS adds six characters to a secret's name in its ARN, and a policy without them lets nobody open it."""
    path = tmp_path / "tieout.toml"
    path.write_text(example(**{"tieout/core-AbCdEf": "tieout/core"}))
    with pytest.raises(WrongContext, match="six characters"):
        read_configuration(path).secrets("source")


@pytest.mark.parametrize("reference", ["env:PASSWORD", "file:keys/bank"])
def test_a_secret_that_is_not_on_aws_is_refused(tmp_path: Path, reference: str) -> None:
    """A function has no such file or variable: said before the first deployment, not after it."""
    path = tmp_path / "tieout.toml"
    path.write_text(
        example(
            **{"aws-secret:arn:aws:secretsmanager:eu-central-1:111122223333:secret:tieout/bank-key-GhIjKl": reference}
        )
    )
    with pytest.raises(WrongContext, match="aws-secret:ARN"):
        read_configuration(path).secrets("acquirer.sftp")


@pytest.mark.parametrize(
    ("more", "hop"),
    [
        ("port = 2222\n", ("sftp.example.net", 2222)),
        ('proxy = "http://proxy.example.net:3128"\n', ("proxy.example.net", 3128)),
        ('jump = { host = "jump.example.net", user = "x", host_keys = ["k"] }\n', ("jump.example.net", 22)),
    ],
)
def test_an_acquirer_is_reached_by_its_first_hop(tmp_path: Path, more: str, hop: tuple[str, int]) -> None:
    """What the network must let out goes to the proxy or the jump host, where there is one."""
    path = tmp_path / "tieout.toml"
    path.write_text(example(**{'user = "tieout"\n': f'user = "tieout"\n{more}'}))
    [found] = read_configuration(path).acquirers
    assert (found.host, found.port) == hop


def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path) -> None:
    """Missing or not TOML: the message says how to give another one."""
    (tmp_path / "broken.toml").write_text("[[source")
    for name in ("broken.toml", "missing.toml"):
        with pytest.raises(WrongContext, match="config=FILE"):
            read_configuration(tmp_path / name)
