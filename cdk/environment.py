"""Reads one environment (dev, staging, prod) from the context of cdk.json: sizes, retention, addresses; never an account."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

NAME = re.compile(r"[a-z][a-z0-9-]{0,7}")
"""Short, because AWS ends names of schedules at 64 characters and those of buckets at 63."""
PRODUCT = "tieout"
PERSON = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(user|role)/[\w+=,.@/-]+")
ACU_STEP = 0.5
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""CloudWatch Logs keeps for no other time."""


class WrongContext(ValueError):
    """The context or the configuration says something that cannot be deployed. The message says what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One deployment. Every field is a key under `environments.NAME` in cdk.json; docs/aws.md describes them."""

    name: str
    account: str = ""
    region: str = ""
    protected: bool = False
    zones: int = 2
    nat_addresses: int = 1
    network: str = "10.40.0.0/16"
    on_premises: list[str] = field(default_factory=list)
    vpn_address: str = ""
    vpn_asn: int = 65000
    direct_connect_gateway: str = ""
    acquirer_addresses: list[str] = field(default_factory=list)
    s3_prefix_list: str = ""
    locked_days: int = 1
    expire_days: dict[str, int] = field(default_factory=dict)
    log_days: int = 30
    backup_days: int = 7
    capacity_min: float = 0.5
    capacity_max: float = 4
    ledger_readers: int = 0
    ledger_ca: str = ""
    image_tag: str = "0.1.0"
    eks_cluster: str = ""
    eks_namespaces: list[str] = field(default_factory=list)
    alarm_email: str = ""
    domain: str = ""
    certificate: str = ""
    auditors: list[str] = field(default_factory=list)
    operators: list[str] = field(default_factory=list)

    def named(self, thing: str) -> str:
        """What a resource is called: the product, the environment, the thing."""
        return f"{PRODUCT}-{self.name}-{thing}"

    @property
    def people(self) -> dict[str, list[str]]:
        """Duty -> the ARNs of those who have it."""
        return {"auditor": self.auditors, "operator": self.operators}

    @classmethod
    def read(cls, name: str, environments: Mapping[str, Mapping[str, Any]]) -> Environment:
        """Raises WrongContext for an environment or a key that is not known, and for values that do not fit each other."""
        if not NAME.fullmatch(name) or name not in environments:
            raise WrongContext(
                f"there is no environment {name!r}; cdk.json has {', '.join(environments)} (choose with -c environment=NAME)"
            )
        found = dict(environments[name])
        unknown = sorted(set(found) - {each.name for each in fields(cls)})
        if unknown:
            raise WrongContext(f"environments.{name}: {unknown[0]!r} is no key; docs/aws.md lists them")
        environment = cls(name=name, **found)
        for wrong, why in environment._contradictions():
            if wrong:
                raise WrongContext(f"environments.{name}: {why}")
        return environment

    def _contradictions(self) -> list[tuple[bool, str]]:
        steps = (self.capacity_min / ACU_STEP).is_integer() and (self.capacity_max / ACU_STEP).is_integer()
        return [
            (self.zones not in {2, 3}, "zones is 2 or 3"),
            (not 1 <= self.nat_addresses <= self.zones, "nat_addresses is 1 to the number of zones"),
            (not steps, "capacities are in steps of 0.5"),
            (not ACU_STEP <= self.capacity_min <= self.capacity_max, "capacity_min is 0.5 to capacity_max"),
            (self.log_days not in LOG_DAYS, f"log_days is one of {', '.join(map(str, LOG_DAYS))}"),
            (self.locked_days < 1, "locked_days is at least 1: object lock knows no shorter retention"),
            (bool(self.account) != bool(self.region), "account and region are given together or not at all"),
            (bool(self.domain) != bool(self.certificate), "domain and certificate are given together or not at all"),
            (bool(self.vpn_address) and not self.on_premises, "vpn_address needs on_premises: the ranges behind it"),
            (bool(self.eks_cluster) != bool(self.eks_namespaces), "eks_cluster and eks_namespaces go together"),
            (
                not all(PERSON.fullmatch(arn) for arn in (*self.auditors, *self.operators)),
                "auditors and operators are ARNs of users and roles of IAM, never of a whole account",
            ),
        ]
