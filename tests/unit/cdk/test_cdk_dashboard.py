"""The dashboard and edge stacks: one way in, behind a firewall and a sign-in with a second factor."""

from __future__ import annotations

import json

from functions.topology import TOPOLOGY
from tests.templates import Templates


def test_the_function_answers_cloudfront_only(dev: Templates) -> None:
    """Its address asks for IAM; the one distribution may call it, and it signs every request."""
    assert dev.properties("AWS::Lambda::Url")["AuthType"] == "AWS_IAM"
    control = dev.properties("AWS::CloudFront::OriginAccessControl")["OriginAccessControlConfig"]
    assert (control["OriginAccessControlOriginType"], control["SigningBehavior"]) == ("lambda", "always")
    [distribution] = [name.partition("/")[2] for name in dev.of("AWS::CloudFront::Distribution")]
    allowed = [each["Properties"] for each in dev.of("AWS::Lambda::Permission", "dashboard").values()]
    assert {each["Action"] for each in allowed} == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    for each in allowed:
        assert each["Principal"] == "cloudfront.amazonaws.com"
        assert each["SourceArn"] == f"arn:aws:cloudfront::111122223333:distribution/dashboard/{distribution}"
        assert each["Action"] == "lambda:InvokeFunctionUrl" or each["InvokedViaFunctionUrl"]


def test_the_distribution_stands_behind_the_firewall(dev: Templates) -> None:
    """TLS only, logged, nothing cached, and the web ACL before it."""
    found = dev.properties("AWS::CloudFront::Distribution")["DistributionConfig"]
    assert found["WebACLId"].startswith("edge/WebFirewall")
    behaviour = found["DefaultCacheBehavior"]
    assert behaviour["ViewerProtocolPolicy"] == "redirect-to-https"
    assert behaviour["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"  # AWS's own: CachingDisabled
    assert found["Logging"]["IncludeCookies"] is False
    headers = dev.properties("AWS::CloudFront::ResponseHeadersPolicy")["ResponseHeadersPolicyConfig"]
    assert headers["SecurityHeadersConfig"]["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 31_536_000
    assert headers["SecurityHeadersConfig"]["FrameOptions"]["FrameOption"] == "DENY"


def test_the_firewall_has_managed_rules_and_a_rate(dev: Templates) -> None:
    """AWS's common rules, known bad inputs and bad addresses block; so does who asks more than 1,000 times in 5 minutes."""
    found = dev.properties("AWS::WAFv2::WebACL")
    assert found["Scope"] == "CLOUDFRONT"
    managed = [each for each in found["Rules"] if "ManagedRuleGroupStatement" in each["Statement"]]
    names = {each["Statement"]["ManagedRuleGroupStatement"]["Name"] for each in managed}
    assert {"AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet"} < names
    assert all(each["OverrideAction"] == {"None": {}} for each in managed)
    [rate] = [each for each in found["Rules"] if each not in managed]
    assert rate["Action"] == {"Block": {}}
    assert rate["Statement"]["RateBasedStatement"] == {"AggregateKeyType": "IP", "Limit": 1000}


def test_from_another_region_the_firewall_is_asked_for_by_name(full: Templates) -> None:
    """CloudFront takes it from us-east-1 only: no custom resource carries its ARN, CloudFormation looks it up."""
    resource = full.stacks["dashboard"]["Resources"]
    [found] = [each for each in resource.values() if each["Type"] == "AWS::CloudFront::Distribution"]
    assert found["Properties"]["DistributionConfig"]["WebACLId"] == {
        "Fn::GetStackOutput": {"StackName": "tieout-full-edge", "OutputName": "WebFirewallArn", "Region": "us-east-1"}
    }


def test_people_are_invited_and_sign_in_with_a_second_factor(dev: Templates, prod: Templates) -> None:
    """No sign-up, an authenticator for everybody, four roles; leaked passwords are refused."""
    for templates in (dev, prod):
        found = templates.properties("AWS::Cognito::UserPool")
        assert found["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"]
        assert (found["MfaConfiguration"], found["EnabledMfas"]) == ("ON", ["SOFTWARE_TOKEN_MFA"])
        assert found["UserPoolAddOns"] == {"AdvancedSecurityMode": "ENFORCED"}
        assert found["Policies"]["PasswordPolicy"]["MinimumLength"] >= 14
        groups = {each["Properties"]["GroupName"] for each in templates.of("AWS::Cognito::UserPoolGroup").values()}
        assert groups == {"viewer", "operator", "approver", "auditor"}
    assert prod.properties("AWS::Cognito::UserPool")["DeletionProtection"] == "ACTIVE"


def test_sign_in_is_by_authorization_code_and_back_to_our_address_only(dev: Templates, full: Templates) -> None:
    """No password reaches us, there is no client secret, and the only ways back are ours over TLS."""
    for templates in (dev, full):
        found = templates.properties("AWS::Cognito::UserPoolClient")
        assert found["AllowedOAuthFlows"] == ["code"]
        assert found["GenerateSecret"] is False
        assert "ExplicitAuthFlows" not in found or found["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]
        assert len(found["CallbackURLs"]) == 1
        told = json.loads(templates.properties("AWS::SecretsManager::Secret")["SecretString"])
        assert found["CallbackURLs"] == [f"{told['address']}/signed-in"]
        assert told["address"].startswith("https://")
        assert told["issuer"].startswith("https://cognito-idp.eu-central-1.amazonaws.com/dashboard/SignIn")
        assert told["client"].startswith("dashboard/SignIn")
    assert (
        json.loads(full.properties("AWS::SecretsManager::Secret")["SecretString"])["address"]
        == "https://payments.example.net"
    )


def test_a_domain_of_ones_own_comes_with_its_certificate(full: Templates) -> None:
    """And then nothing older than TLS 1.2 of 2021 is spoken."""
    found = full.properties("AWS::CloudFront::Distribution")["DistributionConfig"]
    assert found["Aliases"] == ["payments.example.net"]
    assert found["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"


def test_the_page_hands_out_exports_and_writes_nothing(dev: Templates) -> None:
    """It reads what lies under exports/ and no other object, asks for exports by their queue and no other, and stores nothing."""
    role = dev.role_of("dashboard")
    for store, bucket in (("exports", "curated"), ("curated", "curated"), ("quarantine", "curated"), ("raw", "raw")):
        assert role.may("s3:GetObject", dev.object_arn(bucket, f"{store}/x")) == (store == "exports")
        assert not role.may("s3:PutObject", dev.object_arn(bucket, f"{store}/x"))
        assert not role.may("s3:DeleteObject", dev.object_arn(bucket, f"{store}/x"))
    named = {stage.queue: f"arn:aws:sqs:eu-central-1:111122223333:tieout-dev-{stage.queue}" for stage in TOPOLOGY}
    assert {queue for queue, arn in named.items() if role.may("sqs:SendMessage", arn)} == {"export"}
    assert not any(role.may("sqs:ReceiveMessage", arn) for arn in named.values())


def test_who_writes_exports_is_a_witness(dev: Templates) -> None:
    """Its user of the ledger looks, and writes what it did into the audit log only; the page's only looks."""
    found = dev.properties("Custom::TieoutLedger")
    assert found["Witnesses"] == "tieout_export"
    assert found["Readers"].split(",") == ["tieout_anchor", "tieout_dashboard"]
    assert not {"tieout_export", "tieout_dashboard"} & set(found["Writers"].split(","))


def test_exports_do_not_stay(dev: Templates) -> None:
    """They are gone after a day, the only objects of the curated bucket that a rule of its own removes so soon."""
    buckets = [each["Properties"] for each in dev.of("AWS::S3::Bucket", "storage").values()]
    rules = [rule for each in buckets for rule in each.get("LifecycleConfiguration", {}).get("Rules", [])]
    [rule] = [each for each in rules if each.get("Prefix") == "exports/"]
    assert (rule["ExpirationInDays"], rule["Status"]) == (1, "Enabled")
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
