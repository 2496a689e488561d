"""What people reach of the dashboard: CloudFront behind the web firewall. The function's own address is locked."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_certificatemanager as certificates
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk.acknowledge import acknowledge
from cdk.environment import Environment
from cdk.log_bucket import LogBucket
from cdk.stores import bucket_name

POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'"
)


class Front(Construct):
    """`address` is what people type. Nothing is cached: every page is somebody's own."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        function: lambda_.IFunction,
        firewall_arn: str,
    ) -> None:
        super().__init__(scope, construct_id)
        url = function.add_function_url(auth_type=lambda_.FunctionUrlAuthType.AWS_IAM)
        logs = LogBucket(
            self, "Logs", environment=environment, name=bucket_name(environment, "dashboard-logs"), by_acl=True
        )
        certificate = environment.certificate and certificates.Certificate.from_certificate_arn(
            self, "Certificate", environment.certificate
        )
        self.distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=environment.named("dashboard"),
            default_behavior=cloudfront.BehaviorOptions(
                # Signed by CloudFront for this one function, which refuses whoever else calls it.
                origin=origins.FunctionUrlOrigin.with_origin_access_control(url, read_timeout=Duration.seconds(30)),
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
                allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
                cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
                origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
                response_headers_policy=self._headers(environment),
            ),
            web_acl_id=firewall_arn,
            domain_names=[environment.domain] if environment.domain else None,
            certificate=certificate or None,
            # CloudFront's own certificate takes no other choice than its oldest.
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021 if certificate else None,
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            enable_logging=True,
            log_bucket=logs.bucket,
            log_includes_cookies=False,
        )
        self.address = f"https://{environment.domain or self.distribution.distribution_domain_name}"
        acknowledge(self, "AwsSolutions-CFR1", "People work from where they are; the sign-in has a second factor.")
        if not environment.domain:
            acknowledge(
                self, "AwsSolutions-CFR4", "CloudFront's own certificate allows no other choice; give a domain."
            )

    def _headers(self, environment: Environment) -> cloudfront.ResponseHeadersPolicy:
        headers = cloudfront.ResponseSecurityHeadersBehavior
        return cloudfront.ResponseHeadersPolicy(
            self,
            "Headers",
            response_headers_policy_name=environment.named("dashboard"),
            security_headers_behavior=headers(
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=Duration.days(365), include_subdomains=True, override=True
                ),
                content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                    content_security_policy=POLICY, override=False
                ),
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
                frame_options=cloudfront.ResponseHeadersFrameOptions(
                    frame_option=cloudfront.HeadersFrameOption.DENY, override=True
                ),
                referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                    referrer_policy=cloudfront.HeadersReferrerPolicy.NO_REFERRER, override=True
                ),
            ),
        )
