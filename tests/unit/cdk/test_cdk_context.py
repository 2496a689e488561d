"""What is refused before anything is deployed: contexts and configurations that cannot work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdk.configuration import Configuration, read_configuration
from cdk.connections import check_connections, connections_by_user, connections_max
from cdk.environment import Environment, WrongContext
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
    assert sum(connections_by_user(many).values()) > 0.8 * connections_max(environment)
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
