"""The dashboard stack: its function, CloudFront before it, and the people who may sign in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import ArnFormat, CfnOutput, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk.acknowledge import acknowledge
from cdk.bundle import Bundle
from cdk.common import Common
from cdk.configuration import Configuration
from cdk.environment import Environment
from cdk.front import Front
from cdk.function import Function
from cdk.function_alarms import BesideAlarms
from cdk.grants import may_log_in, may_open, may_read, may_send, may_use_key
from cdk.ledger import Ledger, user_of
from cdk.place import Place, Zone
from cdk.sign_in import SignIn
from functions.topology import BESIDE


class DashboardStack(Stack):
    """`firewall_arn` is the web firewall's, from the edge stack."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        configuration: Configuration,
        bundle: Bundle,
        ledger: Ledger,
        key: kms.IKey,
        alarms: sns.ITopic,
        firewall_arn: str,
        places: Mapping[Zone, Place] | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        variables: Mapping[str, str] | None = None,
        **stack: Any,
    ) -> None:
        super().__init__(scope, construct_id, **stack)
        [row] = [each for each in BESIDE if each.name == "dashboard"]
        common = Common.made_in(
            self,
            environment=environment,
            configuration=configuration,
            bundle=bundle,
            ledger=ledger,
            key=key,
            places=places,
            overrides=overrides,
            variables=variables,
        )
        login_arn = self._login_arn(environment)
        made = Function(self, "Work", row=row, common=common, variables={"TIEOUT_SIGN_IN": f"aws-secret:{login_arn}"})
        may_log_in(made.role, ledger=ledger, user=user_of(row.name))
        may_read(made.role, environment=environment, stores=row.reads)
        may_open(made.role, secrets=[f"{login_arn}-??????"])
        # Who may read an object may sign a link to it; the writing is left to `export`, which is told by its queue.
        may_send(made.role, queues=[self._queue_arn(environment, "export")])
        may_use_key(made.role, key=key, services=("s3", "secretsmanager"), encrypts=False)
        front = Front(self, "Front", environment=environment, function=made.function, firewall_arn=firewall_arn)
        sign_in = SignIn(self, "SignIn", environment=environment)
        self._tell_function(environment, sign_in, front, key)
        BesideAlarms(self, "Alarms", beside=row, environment=environment, topic=alarms)
        CfnOutput(self, "Address", value=front.address)
        CfnOutput(self, "UserPoolId", value=sign_in.pool.user_pool_id)

    def _queue_arn(self, environment: Environment, queue: str) -> str:
        return str(self.format_arn(service="sqs", resource=environment.named(queue)))

    def _login_arn(self, environment: Environment) -> str:
        arn: str = self.format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=environment.named("sign-in"),
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        return arn

    def _tell_function(self, environment: Environment, sign_in: SignIn, front: Front, key: kms.IKey) -> None:
        """By a secret, though nothing of it is secret: the client knows the address, and that knows the function."""
        client = sign_in.add_client(front.address)
        secret = secretsmanager.CfnSecret(
            self,
            "SignInSettings",
            name=environment.named("sign-in"),
            description="Where the dashboard's people sign in",
            kms_key_id=key.key_arn,
            secret_string=self.to_json_string(
                {
                    "address": front.address,
                    "client": client.user_pool_client_id,
                    "issuer": sign_in.issuer,
                    "domain": sign_in.domain.base_url(),
                }
            ),
        )
        acknowledge(secret, "AwsSolutions-SMG4", "It holds addresses and a public client's number: nothing to rotate.")
