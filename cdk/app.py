"""The CDK app: reads the context, makes the stacks of one environment, and checks them with cdk-nag.

`python -m cdk.app` writes the templates to CDK_OUTDIR, which `cdk` and `make synth` set.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App, Fn, Stack, Tags, Validations
from aws_cdk import Environment as AwsEnvironment
from cdk_nag import AwsSolutionsChecks

from cdk.bundle import Bundle
from cdk.configuration import read_configuration
from cdk.dashboard import DashboardStack
from cdk.edge import OUTPUT, EdgeStack
from cdk.environment import PRODUCT, Environment, WrongContext
from cdk.extraction import ExtractionStack
from cdk.network import NetworkStack
from cdk.observability import ObservabilityStack
from cdk.people import NAME as PEOPLE
from cdk.people import PeopleStack
from cdk.pipeline import PipelineStack
from cdk.state import StateStack
from cdk.storage import StorageStack

EDGE_REGION = "us-east-1"
ROOT = Path(__file__).parent.parent


def main() -> int:
    try:
        synthesise()
    except WrongContext as error:
        print(f"cdk: {error}", file=sys.stderr)  # noqa: T201 - a program of its own
        return 2
    return 0


def synthesise(given: Mapping[str, Any] | None = None, *, outdir: str | None = None) -> None:
    """Write the templates; `given` goes over the context of cdk.json. Raises WrongContext, RuntimeError for findings."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = App(context={**context, **(given or {})}, outdir=outdir)
    build(app)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True))
    app.synth()


def build(app: App) -> None:
    """Every stack, in the order in which they need each other. Raises WrongContext."""
    get = app.node.get_context
    environment = Environment.read(get("environment"), get("environments"))
    configuration = read_configuration(_path(get("config")))
    bundle = Bundle(_path(get("bundle")), architecture=get("architecture"), python=get("python"))
    where: dict[str, Any] = {"env": _where(environment, environment.region)}
    common: dict[str, Any] = {"environment": environment, **where}

    storage = StorageStack(app, environment.named("storage"), **common)
    common |= {"key": storage.key}
    observability = ObservabilityStack(app, environment.named("observability"), **common)
    network = NetworkStack(app, environment.named("network"), configuration=configuration, **common)
    state = StateStack(app, environment.named("state"), configuration=configuration, place=network.ledger, **common)
    common |= {"configuration": configuration, "ledger": state.ledger, "alarms": observability.topic}
    pipeline = PipelineStack(app, environment.named("pipeline"), bundle=bundle, places=network.places, **common)
    extraction = ExtractionStack(app, environment.named("extraction"), place=network.places["legacy"], **common)
    edge = EdgeStack(
        app,
        environment.named("edge"),
        environment=environment,
        env=_where(environment, environment.region and EDGE_REGION),
    )
    dashboard = DashboardStack(
        app,
        environment.named("dashboard"),
        bundle=bundle,
        places=network.places,
        firewall_arn=_firewall_arn(environment, edge),
        **common,
    )
    dashboard.add_stack_dependency(edge)
    after_pipeline: list[Stack] = [extraction, dashboard]
    if any(environment.people.values()):
        after_pipeline.append(_people(app, environment, network, common))
    for each in after_pipeline:
        # The ledger's tables and users are made by the pipeline stack.
        each.add_stack_dependency(pipeline)
    Tags.of(app).add("product", PRODUCT)
    Tags.of(app).add("environment", environment.name)


def _people(app: App, environment: Environment, network: NetworkStack, common: Mapping[str, Any]) -> PeopleStack:
    given = {name: each for name, each in common.items() if name != "alarms"}
    return PeopleStack(app, environment.named(PEOPLE), place=network.places["inside"], **given)


def _where(environment: Environment, region: str) -> AwsEnvironment | None:
    """Without an account the templates fit every account and region."""
    return AwsEnvironment(account=environment.account, region=region) if environment.account else None


def _firewall_arn(environment: Environment, edge: EdgeStack) -> str:
    """From another region by CloudFormation's own look at the other stack's output."""
    if environment.region in {"", EDGE_REGION}:
        return str(edge.arn)
    return str(Fn.get_stack_output(edge.stack_name, OUTPUT, EDGE_REGION))


def _path(given: str) -> Path:
    return ROOT / given


if __name__ == "__main__":
    raise SystemExit(main())
