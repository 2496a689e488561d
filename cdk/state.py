"""The state stack: the ledger's database."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk.configuration import Configuration
from cdk.connections import check_connections
from cdk.database import Database
from cdk.environment import Environment
from cdk.place import Place


class StateStack(Stack):
    """`ledger` tells the other stacks where it is."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        configuration: Configuration,
        place: Place,
        key: kms.IKey,
        **stack: Any,
    ) -> None:
        super().__init__(scope, construct_id, **stack)
        check_connections(environment, configuration)
        self.ledger = Database(self, "Database", environment=environment, place=place, key=key).ledger
        CfnOutput(self, "LedgerUrl", value=self.ledger.url)
