"""The web firewall before the dashboard. CloudFront takes one from us-east-1 only, so it has a stack of its own there."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from cdk.environment import Environment

MANAGED = (
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
)
RATE_MAX = 1000
"""Requests of one address in five minutes."""
OUTPUT = "WebFirewallArn"


class EdgeStack(Stack):
    """`arn` of the firewall."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment, **stack: Any) -> None:
        super().__init__(scope, construct_id, **stack)
        rules = [_managed(priority, name) for priority, name in enumerate(MANAGED)]
        firewall = waf.CfnWebACL(
            self,
            "WebFirewall",
            name=environment.named("dashboard"),
            scope="CLOUDFRONT",
            default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
            rules=[*rules, _rate(len(rules))],
            visibility_config=_visible("all"),
        )
        self.arn = firewall.attr_arn
        CfnOutput(self, OUTPUT, value=self.arn)


def _managed(priority: int, name: str) -> waf.CfnWebACL.RuleProperty:
    return waf.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        override_action=waf.CfnWebACL.OverrideActionProperty(none={}),
        statement=waf.CfnWebACL.StatementProperty(
            managed_rule_group_statement=waf.CfnWebACL.ManagedRuleGroupStatementProperty(name=name, vendor_name="AWS")
        ),
        visibility_config=_visible(name),
    )


def _rate(priority: int) -> waf.CfnWebACL.RuleProperty:
    return waf.CfnWebACL.RuleProperty(
        name="rate",
        priority=priority,
        action=waf.CfnWebACL.RuleActionProperty(block={}),
        statement=waf.CfnWebACL.StatementProperty(
            rate_based_statement=waf.CfnWebACL.RateBasedStatementProperty(limit=RATE_MAX, aggregate_key_type="IP")
        ),
        visibility_config=_visible("rate"),
    )


def _visible(name: str) -> waf.CfnWebACL.VisibilityConfigProperty:
    return waf.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=True
    )
