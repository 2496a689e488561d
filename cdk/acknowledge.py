"""Acknowledges findings of cdk-nag, each with its reason, on the construct that it is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aws_cdk import Stack, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, finding: str, reason: str) -> None:
    """One finding, such as `AwsSolutions-S1` or `AwsSolutions-IAM5[Resource::*]`.

    Written as metadata because `Validations.acknowledge` refuses the colons that IAM5 has in its findings.
    """
    construct.node.add_metadata(Validations.ACKNOWLEDGED_RULES_METADATA_KEY, {finding: reason})


def acknowledge_wildcards(construct: IConstruct, resources: Iterable[str], reason: str) -> None:
    """The wildcards in these ARNs of a policy below `construct`."""
    for resource in resources:
        text = _flat(Stack.of(construct).resolve(resource))
        acknowledge(construct, f"AwsSolutions-IAM5[Resource::{text}]", reason)


def _flat(value: Any) -> str:
    """A resolved token in the words of cdk-nag: references in angle brackets."""
    match value:
        case {"Fn::Join": [delimiter, parts]}:
            return str(delimiter).join(map(_flat, parts))
        case {"Fn::GetAtt": [resource, attribute]}:
            return f"<{resource}.{attribute}>"
        case {"Fn::ImportValue": name}:
            return _flat(name)
        case {"Ref": name}:
            return f"<{name}>"
        case _:
            return str(value)
