"""Reads the templates of one environment: resources by type, references resolved to text, and what a role may do."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ACCOUNT, REGION = "111122223333", "eu-central-1"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::NoValue": "",
}
Resource = dict[str, Any]


class Templates:
    """All stacks of one environment."""

    def __init__(self, folder: Path, environment: str) -> None:
        self.environment = environment
        self.stacks: dict[str, dict[str, Any]] = {}
        for path in folder.glob("*.template.json"):
            name = path.name.removesuffix(".template.json").removeprefix(f"tieout-{environment}-")
            self.stacks[name] = json.loads(path.read_text())
        self._exports = {
            output["Export"]["Name"]: (stack, output["Value"])
            for stack, template in self.stacks.items()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }

    def named(self, thing: str) -> str:
        return f"tieout-{self.environment}-{thing}"

    def of(self, kind: str, stack: str = "") -> dict[str, Resource]:
        """Resources of one type by logical name, with every reference resolved; `Id` and `Stack` tell where they are."""
        found = {}
        for name, template in self.stacks.items():
            for logical, resource in template["Resources"].items():
                if resource["Type"] == kind and stack in {"", name}:
                    found[f"{name}/{logical}"] = {
                        **resource,
                        "Properties": self.resolved(resource.get("Properties", {}), name),
                    }
        return found

    def properties(self, kind: str, stack: str = "", **wanted: Any) -> dict[str, Any]:
        """The properties of the one resource of this type that has these."""
        [found] = [
            each["Properties"]
            for each in self.of(kind, stack).values()
            if all(each["Properties"].get(key) == value for key, value in wanted.items())
        ]
        return dict(found)

    def resolved(self, value: Any, stack: str) -> Any:
        match value:
            case {"Ref": name}:
                return PSEUDO.get(name) or f"{stack}/{name}"
            case {"Fn::GetAtt": [name, attribute]}:
                return f"{stack}/{name}.{attribute}"
            case {"Fn::Join": [delimiter, parts]}:
                return delimiter.join(str(self.resolved(part, stack)) for part in parts)
            case {"Fn::Sub": str(text)}:
                for name, known in PSEUDO.items():
                    text = text.replace(f"${{{name}}}", known)
                return text
            case {"Fn::ImportValue": name}:
                exporter, exported = self._exports[name]
                return self.resolved(exported, exporter)
            case dict():
                return {key: self.resolved(each, stack) for key, each in value.items()}
            case list():
                return [self.resolved(each, stack) for each in value]
            case _:
                return value

    def function(self, name: str) -> dict[str, Any]:
        return self.properties("AWS::Lambda::Function", FunctionName=self.named(name))

    def role_of(self, name: str) -> Role:
        return Role(self, self.function(name)["Role"].removesuffix(".Arn"))

    def task_role(self, source: str) -> Role:
        task = self.properties("AWS::ECS::TaskDefinition", Family=self.named(f"task-{source}"))
        return Role(self, task["TaskRoleArn"].removesuffix(".Arn"))

    def queue_arn(self, name: str) -> str:
        [found] = [
            key
            for key, each in self.of("AWS::SQS::Queue").items()
            if each["Properties"]["QueueName"] == self.named(name)
        ]
        return f"{found}.Arn"

    def bucket(self, name: str) -> str:
        return f"{self.named(name)}-{ACCOUNT}-{REGION}"

    def object_arn(self, bucket: str, key: str) -> str:
        return f"arn:aws:s3:::{self.bucket(bucket)}/{key}"


class Role:
    """What one role may do, by its policies; a small part of how IAM decides, enough for policies like ours."""

    def __init__(self, templates: Templates, name: str) -> None:
        self.name = name
        self.statements = [
            statement
            for policy in templates.of("AWS::IAM::Policy").values()
            if name in policy["Properties"]["Roles"]
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        ]
        role = templates.of("AWS::IAM::Role")[name]["Properties"]
        self.managed = role.get("ManagedPolicyArns", [])
        self.trusted = role["AssumeRolePolicyDocument"]["Statement"]

    def may(self, action: str, resource: str, **conditions: str) -> bool:
        """`conditions`: keys of the request, a colon written as two underscores, such as `s3__prefix`."""
        request = {key.replace("__", ":"): value for key, value in conditions.items()}
        effects = [
            each["Effect"]
            for each in self.statements
            if _matches(each["Action"], action) and _matches(each["Resource"], resource) and _holds(each, request)
        ]
        return "Allow" in effects and "Deny" not in effects

    def resources_of(self, action: str) -> set[str]:
        return {
            resource
            for each in self.statements
            if each["Effect"] == "Allow" and _matches(each["Action"], action)
            for resource in _listed(each["Resource"])
        }


def _listed(value: Any) -> Iterator[str]:
    yield from value if isinstance(value, list) else [value]


def _matches(patterns: Any, value: str) -> bool:
    return any(fnmatch.fnmatchcase(value, pattern.replace("[", "[[]")) for pattern in _listed(patterns))


def _holds(statement: dict[str, Any], request: dict[str, str]) -> bool:
    for operator, wanted in statement.get("Condition", {}).items():
        for key, allowed in wanted.items():
            given = request.get(key)
            match operator:
                case "StringEquals" | "ArnEquals":
                    held = given is not None and given in list(_listed(allowed))
                case "StringLike" | "ArnLike":
                    held = given is not None and _matches(allowed, given)
                case "Null":
                    held = (given is None) == (allowed == "true")
                case "Bool":
                    held = given == allowed
                case _:
                    raise AssertionError(operator)
            if not held:
                return False
    return True
