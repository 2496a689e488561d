"""Calls a service of AWS that speaks JSON, without boto3: for processes whose credentials are in the environment, as on Lambda.

A client of boto3 costs a cold start about 150 ms CPU, a fifth of what deliver needs before its first message; what a secret
needs of it is one signed request (AWS General Reference, "Signature Version 4"). Time-outs and attempts are those of
`runtime.aws`.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from payments.errors import Unreachable
from runtime.aws import ATTEMPTS_MAX, CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from runtime.database_token import ALGORITHM, Credentials

ANSWER_BYTES_MAX = 1 << 20
PAUSE_S = 0.2
TRY_AGAIN = frozenset({429, 500, 502, 503, 504})
THROTTLED = frozenset({"ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"})
DOMAINS = {"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}
"""Partition -> where its services live. Others are left to boto3."""


class Refused(Exception):
    """The service answered with an error; `code` is its own."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def keys_in_environment() -> Credentials | None:
    """None where boto3 must look for them, or where the environment asks for what only boto3 does."""
    access_key, secret_key = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key or os.environ.get("AWS_USE_FIPS_ENDPOINT", "").lower() == "true":
        return None
    return Credentials(access_key, secret_key, os.environ.get("AWS_SESSION_TOKEN", ""))


def call(
    service: str, target: str, asked: dict[str, Any], *, url: str, region: str, credentials: Credentials, thing: str
) -> dict[str, Any]:
    """The service's answer. Raises Refused, or Unreachable, naming `thing`, once every attempt has failed."""
    body = json.dumps(asked).encode()
    for attempt in range(1, ATTEMPTS_MAX + 1):
        is_last = attempt == ATTEMPTS_MAX
        try:
            headers = signed(service, target, body, url=url, region=region, credentials=credentials, now=_now())
            status, answer = _post(url, headers, body)
        except (OSError, http.client.HTTPException) as error:
            if is_last:
                raise Unreachable(f"{thing}: AWS does not answer ({type(error).__name__})") from error
        else:
            found = _object(answer)
            if status == http.client.OK:
                return found
            code = str(found.get("__type", "")).rpartition("#")[2]
            if status not in TRY_AGAIN and code not in THROTTLED:
                raise Refused(code)
            if is_last:
                raise Unreachable(f"{thing}: AWS answered {code or status}")
        # As AWS asks of its callers: a growing pause, at most ATTEMPTS_MAX times, before the request is repeated.
        time.sleep(PAUSE_S * 2 ** (attempt - 1))
    raise AssertionError("the last attempt answers or raises")


def signed(
    service: str, target: str, body: bytes, *, url: str, region: str, credentials: Credentials, now: datetime
) -> dict[str, str]:
    """The headers of a POST to `/` at `url`. `now` is aware."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": urlsplit(url).netloc,
        "x-amz-date": stamp,
        "x-amz-target": target,
    }
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = "\n".join(("POST", "/", "", lines, names, hashlib.sha256(body).hexdigest()))
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join((ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (*scope.split("/"), to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    headers["authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    )
    return headers


def _post(url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=CONNECT_TIMEOUT_S)
    try:
        connection.connect()
        connection.sock.settimeout(READ_TIMEOUT_S)
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(ANSWER_BYTES_MAX)
    finally:
        connection.close()


def _object(answer: bytes) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _now() -> datetime:
    return datetime.now(UTC)
