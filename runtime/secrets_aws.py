"""Fetches one secret from Secrets Manager: by a signed request where credentials are in the environment, else by boto3."""

from __future__ import annotations

import base64
import os
from typing import Any

from payments.errors import Unreachable, WrongConfiguration
from runtime import aws, aws_signed

SERVICE = "secretsmanager"
TARGET = "secretsmanager.GetSecretValue"
WRONG = frozenset({"ResourceNotFoundException", "AccessDeniedException", "InvalidRequestException"})
"""What no further attempt changes: there is no such secret, or it is not for us."""


def fetch(arn: str, *, endpoint: str = "") -> bytes:
    """Text as UTF-8, or the bytes of a binary secret. Raises WrongConfiguration and Unreachable."""
    _, partition, _, region, *_ = arn.split(":")
    credentials = aws_signed.keys_in_environment()
    if credentials is None or partition not in aws_signed.DOMAINS:
        return _by_boto3(arn, region, endpoint)
    given = endpoint or os.environ.get("AWS_ENDPOINT_URL_SECRETS_MANAGER") or os.environ.get("AWS_ENDPOINT_URL")
    url = given or f"https://{SERVICE}.{region}.{aws_signed.DOMAINS[partition]}"
    thing = f"secret {arn}"
    try:
        found = aws_signed.call(
            SERVICE, TARGET, {"SecretId": arn}, url=url, region=region, credentials=credentials, thing=thing
        )
    except aws_signed.Refused as error:
        raise _refused(arn, error.code) from error
    return _content(found, base64.b64decode(found.get("SecretBinary") or ""))


def _by_boto3(arn: str, region: str, endpoint: str) -> bytes:
    from botocore.exceptions import ClientError

    client = aws.client(SERVICE, endpoint=endpoint, in_region=region)
    with aws.translated(f"secret {arn}"):
        try:
            found = client.get_secret_value(SecretId=arn)
        except ClientError as error:
            raise _refused(arn, aws.code_of(error)) from error
        finally:
            client.close()
    return _content(found, bytes(found.get("SecretBinary") or b""))


def _content(found: dict[str, Any], binary: bytes) -> bytes:
    text = found.get("SecretString")
    return text.encode() if isinstance(text, str) else binary


def _refused(arn: str, code: str) -> WrongConfiguration | Unreachable:
    said = f"secret {arn}: AWS answered {code or 'an error without a code'}"
    return WrongConfiguration(said) if code in WRONG else Unreachable(said)
