"""Brings the ledger's tables and users to what the code needs, in every deployment, before any message is handled."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk.duty import READ_ONLY
from cdk.ledger import user_of

READERS = frozenset({"anchor", "dashboard", *READ_ONLY})
"""Functions and people that look at the ledger and never write to it."""
WITNESSES = frozenset({"export"})
"""Functions that look at it, and write nothing but what they did: into the audit log."""
TIME_MAX = Duration.minutes(10)


class Migration(Construct):
    """The one custom resource. Its properties change with the code and with the users; then it is called again."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.Function,
        connections: Mapping[str, int],
        code: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.resource = CustomResource(
            self,
            "Ledger",
            resource_type="Custom::TieoutLedger",
            service_token=function.function_arn,
            service_timeout=TIME_MAX,
            properties={
                "Code": code,
                "Writers": ",".join(user_of(name) for name in sorted({*connections} - READERS - WITNESSES)),
                "Readers": ",".join(user_of(name) for name in sorted(connections) if name in READERS),
                "Witnesses": ",".join(user_of(name) for name in sorted(WITNESSES)),
                "ConnectionsMax": ",".join(f"{user_of(name)}={most}" for name, most in sorted(connections.items())),
            },
        )
