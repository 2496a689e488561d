"""What a function is told by its variables: where its configuration is, and what only the deployment knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from cdk.configuration import Configuration
from cdk.environment import PRODUCT, Environment
from cdk.grants import may_fetch
from cdk.ledger import Ledger, user_of
from cdk.reference_table import ReferenceTable
from cdk.stores import store_urls

NAMESPACE = "Tieout"


def service_of(environment: Environment) -> str:
    """What Powertools names in lines and figures: of two environments in one account each has its own."""
    return f"{PRODUCT}-{environment.name}"


class FunctionSettings(Construct):
    """The configuration as an asset, and the overrides that are merged over it before it is checked.

    `overrides` adds tables or keys to those of the deployment, `variables` adds environment variables; where the
    services of AWS have other addresses than AWS's own, they are named there.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        configuration: Configuration,
        ledger: Ledger,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._environment = environment
        self._ledger = ledger
        self._overrides = overrides or {}
        self._variables = dict(variables or {})
        self._asset = assets.Asset(self, "Configuration", path=str(configuration.path))
        self._reference: ReferenceTable | None = None
        if configuration.reference is not None:
            self._reference = ReferenceTable(self, "ReferenceTable", file=configuration.reference)

    def variables(
        self, function: str, overrides: Mapping[str, Mapping[str, Any]] | None = None, *, as_owner: bool = False
    ) -> dict[str, str]:
        """The environment variables of a function or task, with overrides of its own.

        `as_owner`: of the one that makes tables and users.
        """
        ledger = self._ledger.settings_of_owner() if as_owner else self._ledger.settings_of(user_of(function))
        return {
            "TIEOUT_CONFIG": self._asset.s3_object_url,
            "TIEOUT_OVERRIDES": Stack.of(self).to_json_string(self._all_overrides(ledger, overrides or {})),
            "TIEOUT_INSTANCE": function,
            "POWERTOOLS_SERVICE_NAME": service_of(self._environment),
            **self._variables,
        }

    def may_read_configuration(self, role: iam.Role) -> None:
        may_fetch(role, bucket=self._asset.s3_bucket_name, key=self._asset.s3_object_key)

    def may_read_reference_table(self, role: iam.Role) -> None:
        """Whoever curates may; there may be none."""
        if self._reference is not None:
            self._reference.may_be_read_by(role)

    def _all_overrides(self, ledger: dict[str, Any], own: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        deployment: dict[str, dict[str, Any]] = {
            "stores": store_urls(self._environment),
            "ledger": ledger,
            "queue": {"url": f"sqs:{Aws.REGION}", "prefix": f"{PRODUCT}-{self._environment.name}-"},
            # The extraction stack's schedules start tasks; tick leaves sources alone.
            "service": {"extract_by": "scheduler"},
        }
        reference = {} if self._reference is None else self._reference.overrides
        for added in (reference, self._overrides, own):
            deployment |= {key: {**deployment.get(key, {}), **table} for key, table in added.items()}
        return deployment
