"""A role that named people take, with a second factor and for an hour at a time."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk.duty import Duty
from cdk.environment import Environment

SIGNED_IN = ":role/aws-reserved/sso.amazonaws.com/"
"""Roles of IAM Identity Center: it asks for the second factor itself, and its sessions do not say so."""
SESSION = Duration.hours(1)


class PersonRole(Construct):
    """`role` may so far do nothing."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment, duty: Duty) -> None:
        super().__init__(scope, construct_id)
        self.role = iam.Role(
            self,
            "Role",
            role_name=environment.named(duty.name),
            description=f"{duty.about} in {environment.name}",
            assumed_by=iam.CompositePrincipal(*(_named(arn) for arn in environment.people[duty.name])),
            max_session_duration=SESSION,
        )


def _named(arn: str) -> iam.IPrincipal:
    principal = iam.ArnPrincipal(arn)
    if SIGNED_IN in arn:
        return principal
    return principal.with_conditions({"Bool": {"aws:MultiFactorAuthPresent": "true"}})
