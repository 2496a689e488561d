"""Deploys an assembly of CDK as its own command line does: assets to the bootstrap's bucket, then one stack after the other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3

from tests.servers.ministack import ACCOUNT, REGION, Emulator

PREFIX = "tieout-emulated-"
BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"
BOOTSTRAP_VERSION = "30"
DEPLOY_S_MAX = 120.0
POLL_S = 0.1
LOG_LINES = 40
DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
UNDER_WAY = "_IN_PROGRESS"


class Deployment:
    """The stacks of one assembly in one emulator. `content` gives an asset's bytes, `parameters` those of the stacks.

    `known_now`: texts of the templates that stand for what was not known when they were made -> what it is.
    """

    def __init__(
        self,
        emulator: Emulator,
        folder: Path,
        *,
        content: Callable[[Path], bytes],
        parameters: Mapping[str, str],
        known_now: Mapping[str, str],
    ) -> None:
        self.emulator = emulator
        self._folder = folder
        self._content = content
        self._parameters = parameters
        self._known_now = known_now
        manifest = json.loads((folder / "manifest.json").read_text())
        self._artifacts: dict[str, dict[str, Any]] = manifest["artifacts"]
        self.bucket = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"

    def client(self, service: str) -> Any:
        """A client of the emulator for whoever deploys: a person, never one of the functions."""
        return boto3.client(
            service,
            endpoint_url=self.emulator.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="not-a-secret",
        )

    def deploy(self) -> None:
        """Everything, in the order in which the stacks need each other."""
        self.client("s3").create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.client("ssm").put_parameter(Name=BOOTSTRAP, Value=BOOTSTRAP_VERSION, Type="String")
        for stack in self.stacks():
            self._upload(stack)
            self.deploy_stack(stack, self.template(stack))

    def stacks(self) -> list[str]:
        """Names in order: whatever a stack depends on comes before it."""
        wanted = {name: each for name, each in self._artifacts.items() if each["type"] == "aws:cloudformation:stack"}
        order: list[str] = []

        def add(name: str) -> None:
            for before in wanted[name].get("dependencies", ()):
                if before in wanted and before not in order:
                    add(before)
            if name not in order:
                order.append(name)

        for name in wanted:
            add(name)
        return order

    def template(self, stack: str) -> str:
        text = (self._folder / self._artifacts[stack]["properties"]["templateFile"]).read_text()
        for stand_in, known in self._known_now.items():
            text = text.replace(stand_in, known)
        return text

    def deploy_stack(self, stack: str, template: str) -> None:
        """Create it, or update what is there, and wait until it is done."""
        client = self.client("cloudformation")
        key = f"{stack}.json"
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=template.encode())
        known = json.loads(template).get("Parameters", {})
        arguments = {
            "StackName": stack,
            "TemplateURL": f"{self.emulator.endpoint}/{self.bucket}/{key}",
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in self._parameters.items()
                if name in known
            ],
        }
        there = any(each["StackName"] == stack for each in client.describe_stacks()["Stacks"])
        (client.update_stack if there else client.create_stack)(**arguments)
        self._await(client, stack)

    def put_asset(self, key: str, content: bytes) -> None:
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=content)

    def _upload(self, stack: str) -> None:
        """The files that the stack's asset manifest names; its template is put when it is deployed."""
        properties = self._artifacts[f"{stack}.assets"]["properties"]
        for asset in json.loads((self._folder / properties["file"]).read_text())["files"].values():
            path = asset["source"]["path"]
            if path.endswith(".template.json"):
                continue
            content = self._content(self._folder / path)
            for place in asset["destinations"].values():
                self.put_asset(place["objectKey"], content)

    def _await(self, client: Any, stack: str) -> None:
        deadline = time.monotonic() + DEPLOY_S_MAX
        while True:
            status = client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
            if status in DONE:
                return
            if not status.endswith(UNDER_WAY) or time.monotonic() > deadline:
                events = client.describe_stack_events(StackName=stack)["StackEvents"]
                why = ((each["LogicalResourceId"], each.get("ResourceStatusReason", "")) for each in events)
                said = [f"{name}: {reason}" for name, reason in why if reason]
                log = self.emulator.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
                raise AssertionError("\n".join([f"{stack} ended as {status}:", *said, *log]))
            time.sleep(POLL_S)  # between two looks at a condition that has a deadline
