"""How we speak to AWS: region, time-outs, retries and credentials, the same for every service; errors translated once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from payments.errors import Unreachable, WrongConfiguration

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
ATTEMPTS_MAX = 4
OWN_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
"""Variables by which Lambda, ECS, EKS and most continuous integration hand out credentials."""


def region() -> str:
    """The region of this process; empty when the environment names none."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""


def credentials_in_environment() -> bool:
    """Whether the environment hands out credentials, so that no profile needs to be read."""
    return any(os.environ.get(name) for name in OWN_CREDENTIALS)


def client(service: str, *, endpoint: str = "", in_region: str = "", keys: tuple[str, str] | None = None) -> Any:
    """A boto3 client: 5 s to connect, 30 s to read, at most 4 attempts. Raises WrongConfiguration.

    `keys` are access key and secret key of somebody else's account; None: the credentials of this process.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "max_attempts": ATTEMPTS_MAX},
        # An endpoint of one's own seldom has a name for every bucket.
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    try:
        access_key, secret_key = keys or (None, None)
        return boto3.session.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key).client(
            service, region_name=in_region or region() or None, endpoint_url=endpoint or None, config=config
        )
    except (BotoCoreError, ValueError) as error:
        raise WrongConfiguration(
            f"AWS {service}: no client can be made ({type(error).__name__})",
            next_step="Set AWS_REGION and check the profile and the endpoint.",
        ) from error


def code_of(error: Any) -> str:
    """The service's own code in a botocore ClientError, such as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextlib.contextmanager
def translated(thing: str) -> Iterator[None]:
    """Turn what boto3 raises for `thing` into Unreachable. The vendor's text stays in the chain: it may name accounts."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise Unreachable(f"{thing}: AWS answered {code_of(error) or 'an error without a code'}") from error
    except BotoCoreError as error:
        raise Unreachable(f"{thing}: AWS does not answer ({type(error).__name__})") from error
