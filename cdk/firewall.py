"""The security groups: who may open a connection to whom. Nothing may be opened from outside the network."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from cdk.configuration import Configuration, Partner
from cdk.environment import Environment

ANYWHERE = "0.0.0.0/0"
HTTPS = 443
LEDGER = 5432


class Firewall(Construct):
    """`inside`, `partners`, `legacy` and `web` are for functions and tasks; `ledger` and `endpoints` for what they call."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        environment: Environment,
        configuration: Configuration,
    ) -> None:
        super().__init__(scope, construct_id)
        self._vpc = vpc
        self._environment = environment
        self.ledger = self._group("Ledger", "The ledger: called by functions and tasks, calls nobody")
        self.endpoints = self._group("Endpoints", "AWS services inside the network")
        self.inside = self._caller("Inside", "Functions that call AWS and the ledger only")
        self.partners = self._caller("Partners", "Functions that also call acquirers")
        self.legacy = self._caller("Legacy", "Functions and tasks that also call sources")
        self.web = self._caller("Web", "The dashboard")
        # S3 is reached through its gateway, by AWS's list of its addresses. Whoever does not name that list allows 443 to
        # any address: inside no route leads out of AWS anyhow. The dashboard also asks Cognito, which has no endpoint here.
        named = environment.s3_prefix_list
        s3 = ec2.Peer.prefix_list(named) if named else ec2.Peer.any_ipv4()
        for each in (self.inside, self.partners, self.legacy):
            each.add_egress_rule(s3, ec2.Port.tcp(HTTPS), "S3 through its gateway")
        self.web.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS), "S3 and the sign-in service")
        open_already = set() if named else {(ANYWHERE, HTTPS)}
        acquirers = _reached(configuration.acquirers, environment.acquirer_addresses)
        self._let_out(self.partners, acquirers - open_already)
        self._let_out(self.legacy, _reached(configuration.sources, environment.on_premises) - open_already)

    def _group(self, name: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self,
            name,
            vpc=self._vpc,
            security_group_name=self._environment.named(name.lower()),
            description=description,
            allow_all_outbound=False,
        )

    def _caller(self, name: str, description: str) -> ec2.SecurityGroup:
        group = self._group(name, description)
        for to, port, what in ((self.ledger, LEDGER, "the ledger"), (self.endpoints, HTTPS, "AWS")):
            group.add_egress_rule(to, ec2.Port.tcp(port), what)
            to.add_ingress_rule(group, ec2.Port.tcp(port), f"from {name.lower()}")
        return group

    @staticmethod
    def _let_out(group: ec2.SecurityGroup, reached: Collection[tuple[str, int]]) -> None:
        for peer, port in sorted(reached):
            group.add_egress_rule(ec2.Peer.ipv4(peer), ec2.Port.tcp(port), f"partners at port {port}")


def _reached(partners: Sequence[Partner], ranges: Sequence[str]) -> set[tuple[str, int]]:
    """Each partner's port at its address, else at the given ranges, else anywhere, since rules know no host names."""
    return {(peer, each.port) for each in partners if each.port for peer in _peers(each.host, ranges)}


def _peers(host: str, ranges: Sequence[str]) -> Sequence[str]:
    try:
        return [f"{ipaddress.IPv4Address(host)}/32"]
    except ValueError:
        return ranges or [ANYWHERE]
