"""The part of the configuration that says which Fargate task delivers what is too large for a function."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from payments.config_base import Section

Id = Annotated[str, Meta(min_length=1)]


class DeliveryTask(Section, frozen=True, kw_only=True):
    """A task definition whose entry point is `tieout`, and where it runs. A deployment fills this in, not a person."""

    cluster: Id
    definition: Id
    container: Id = "deliver"
    subnets: Annotated[list[Id], Meta(min_length=1, max_length=16)]
    security_groups: Annotated[list[Id], Meta(min_length=1, max_length=5)]
