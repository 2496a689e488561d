"""Makes the short-lived password by which a process with an AWS role logs in to its database, without a client of boto3.

The token is a request to `rds-db` that was signed and never sent: Signature Version 4 by query parameters (AWS General
Reference, "Authenticating requests"; Amazon RDS User Guide, "IAM database authentication"). It is valid for 15 minutes
and needed only while a connection is made. On Lambda the credentials are in the environment: importing boto3 for this
would cost every cold start more than everything else the ledger needs.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import quote

from payments.errors import WrongConfiguration
from runtime.aws import region

VALID_S = 900
PORT = 5432
SERVICE = "rds-db"
ALGORITHM = "AWS4-HMAC-SHA256"
NOTHING = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of an AWS role; `token` is empty for those of a user."""

    access_key: str
    secret_key: str
    token: str

    def __repr__(self) -> str:
        return "Credentials(...)"


def database_token(host: str, port: int, user: str, *, region: str, credentials: Credentials, now: datetime) -> str:
    """The password for `user` at host:port. `now` is aware."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/{SERVICE}/aws4_request"
    given = {
        "Action": "connect",
        "DBUser": user,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(VALID_S),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.token:
        given["X-Amz-Security-Token"] = credentials.token
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(given.items()))
    request = "\n".join(("GET", "/", query, f"host:{host}:{port}\n", "host", NOTHING))
    to_sign = "\n".join((ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (stamp[:8], region, SERVICE, "aws4_request", to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"{host}:{port}/?{query}&X-Amz-Signature={key.hex()}"


class Address(Protocol):
    """What is needed of a database's URL."""

    @property
    def host(self) -> str | None: ...
    @property
    def port(self) -> int | None: ...
    @property
    def username(self) -> str | None: ...


def database_token_for(address: Address) -> str:
    """The password for the database at `address`, with this process's credentials, in its region, now.

    Raises WrongConfiguration when there is no region, no credentials, or no user in the address.
    """
    found = region()
    if not (found and address.host and address.username):
        raise WrongConfiguration(
            "ledger.iam: a log-in by token needs a region, and host and user in `ledger.url`",
            next_step="Set AWS_REGION and write `ledger.url` as postgresql://user@host:port/database.",
        )
    return database_token(
        address.host,
        address.port or PORT,
        address.username,
        region=found,
        credentials=credentials_of_process(),
        now=datetime.now(UTC),
    )


def credentials_of_process() -> Credentials:
    """From the environment where it holds them (Lambda); else by boto3's own search (Fargate, EKS, a profile).

    Raises WrongConfiguration when there are none.
    """
    access_key, secret_key = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if access_key and secret_key:
        return Credentials(access_key, secret_key, os.environ.get("AWS_SESSION_TOKEN", ""))
    import boto3

    found = boto3.session.Session().get_credentials()
    if found is None:
        raise WrongConfiguration(
            "ledger.iam: this process has no AWS credentials to log in to the ledger with",
            next_step="Give it a role, or set `ledger.iam` to false and a `ledger.password`.",
        )
    frozen = found.get_frozen_credentials()
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")
