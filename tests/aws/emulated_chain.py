"""Brings up everything that a deployed chain needs, once: emulator, ledger, stacks, and what the deployment is given."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from runtime.settings import load
from runtime.wiring import World
from tests.aws.assembly import PREFIX, Deployment
from tests.aws.chain import Chain
from tests.aws.emulated_assembly import emulated_assembly, stood_for
from tests.aws.given_folder import ARN, PLACE, SECRET, given_folder, settled
from tests.servers import ministack, postgres
from tests.servers.ministack import ACCOUNT, REGION
from tests.servers.trace_daemon import trace_daemon
from tests.synth import MISSING, PYTHON, ROOT

BUNDLE = ROOT / "build" / "bundle-here"
NO_BUNDLE = "there is no bundle in build/bundle-here: make bundle-here (make test does it)"
CALLED_EVERY_MINUTE = f"{PREFIX}tick"


def missing() -> str:
    """What this machine lacks, and how it comes there; empty when nothing is missing."""
    lacks = [
        (not PYTHON.exists(), MISSING),
        (not ministack.PROGRAM.exists(), ministack.MISSING),
        (not (BUNDLE / "sizes.json").is_file(), NO_BUNDLE),
        (postgres.binaries() is None, postgres.MISSING),
    ]
    return "; ".join(text for lack, text in lacks if lack)


@contextlib.contextmanager
def emulated_chain(folder: Path, ledger_url: str) -> Iterator[Chain]:
    """A deployed chain in which nothing has happened yet. The ledger is a database of its own."""
    config = given_folder(folder)
    synthesised = folder / "synthesised.toml"
    synthesised.write_text(settled(config.read_text()))
    assembly = emulated_assembly(synthesised)
    with (
        trace_daemon() as traces,
        ministack.ministack({"AWS_XRAY_DAEMON_ADDRESS": traces.address}) as emulator,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in _variables(emulator).items():
            patch.setenv(name, value)
        # An earlier test may have made the session that all calls share, with credentials of its own.
        patch.setattr(boto3, "DEFAULT_SESSION", None)

        def content(path: Path) -> bytes:
            """The real thing for what stood in its place when the templates were made."""
            if path.suffix == ".toml":
                return config.read_bytes()
            return (BUNDLE / stood_for(path)).read_bytes() if path.suffix == ".zip" else path.read_bytes()

        address = ledger_url.partition("@")[2]
        known_now = {ARN: _secret((folder / "keys" / "client_ed25519").read_text())}
        config.write_text(config.read_text().replace(PLACE, emulator.endpoint).replace(ARN, known_now[ARN]))
        parameters = {"LedgerAddress": address}
        deployment = Deployment(emulator, assembly, content=content, parameters=parameters, known_now=known_now)
        deployment.deploy()
        # Called by the tests, when they want it.
        deployment.client("events").disable_rule(Name=CALLED_EVERY_MINUTE)
        variables = _owners_variables(deployment)
        with _world(config, variables) as world:
            yield Chain(deployment, folder, world, variables, traces)


def _secret(content: str) -> str:
    """The ARN of the secret that acquirers are logged in at with."""
    return str(boto3.client("secretsmanager").create_secret(Name=SECRET, SecretString=content)["ARN"])


def _owners_variables(deployment: Deployment) -> dict[str, str]:
    """What the deployment told `migrate`, which logs in as the owner of the ledger."""
    found = deployment.client("lambda").get_function_configuration(FunctionName=f"{PREFIX}migrate")
    return {name: found["Environment"]["Variables"][name] for name in ("TIEOUT_CONFIG", "TIEOUT_OVERRIDES")}


@contextlib.contextmanager
def _world(config: Path, variables: dict[str, str]) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIEOUT_OVERRIDES", variables["TIEOUT_OVERRIDES"])
        settings = load(str(config))
    world = World(settings)
    try:
        yield world
    finally:
        world.ledger.engine.dispose()


def _variables(emulator: ministack.Emulator) -> dict[str, str]:
    """Nothing that these tests do can reach a real account."""
    return {
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_CA_BUNDLE": str(emulator.certificate),
        "SSL_CERT_FILE": str(emulator.certificate),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
