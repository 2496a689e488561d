"""What all functions of one stack share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk.bundle import Bundle, Layers
from cdk.configuration import Configuration
from cdk.environment import Environment
from cdk.ledger import Ledger
from cdk.place import Place, Zone
from cdk.settings import FunctionSettings


@dataclass(frozen=True, kw_only=True)
class Common:
    """`places` by zone; a function whose zone has none runs outside any network of ours."""

    environment: Environment
    settings: FunctionSettings
    bundle: Bundle
    layers: Layers
    key: kms.IKey
    places: Mapping[Zone, Place]

    @classmethod
    def made_in(
        cls,
        scope: Construct,
        *,
        environment: Environment,
        configuration: Configuration,
        bundle: Bundle,
        ledger: Ledger,
        key: kms.IKey,
        places: Mapping[Zone, Place] | None,
        overrides: Mapping[str, Mapping[str, Any]] | None,
        variables: Mapping[str, str] | None,
    ) -> Common:
        """With settings and layers of this stack."""
        settings = FunctionSettings(
            scope,
            "Settings",
            environment=environment,
            configuration=configuration,
            ledger=ledger,
            overrides=overrides,
            variables=variables,
        )
        layers = Layers(scope, "Layers", environment=environment, bundle=bundle)
        return cls(
            environment=environment, settings=settings, bundle=bundle, layers=layers, key=key, places=places or {}
        )
