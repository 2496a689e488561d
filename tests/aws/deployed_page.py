"""Asks the deployed dashboard for pages, as CloudFront does, for somebody who signed in at a service of ours."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from dashboard.begun import SESSION
from payments.records import Mismatch
from tests.aws.assembly import PREFIX
from tests.aws.chain import Chain
from tests.servers.oidc_provider import CLIENT, OidcProvider, oidc_provider
from tests.unit.functions.function_url import event

NOBODYS = "nobody"
"""An acquirer whose mismatches no book counts: they are removed again."""
REFERENCE_LENGTH = 1_000


class DeployedPage:
    """`provider` stands for Cognito, which the emulator's pools cannot: it says who people are."""

    def __init__(self, chain: Chain, provider: OidcProvider) -> None:
        self._chain = chain
        self._provider = provider
        self._lambda = chain.deployment.client("lambda")

    def get(self, path: str, query: str = "", *, session: str = "") -> dict[str, Any]:
        """The function's answer. `session` empty: without a cookie."""
        cookies = (f"{SESSION}={session}",) if session else ()
        payload = json.dumps(event(path, query=query, cookies=cookies)).encode()
        answer = self._lambda.invoke(FunctionName=f"{PREFIX}dashboard", Payload=payload)
        said = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, said
        return dict(said)

    def token(self, **claims: Any) -> str:
        return self._provider.token(**claims)


@contextlib.contextmanager
def deployed_page(chain: Chain) -> Iterator[DeployedPage]:
    """With the sign-in that the deployment wrote into the secret, but for its issuer."""
    with oidc_provider() as provider:
        secrets, name = chain.deployment.client("secretsmanager"), f"{PREFIX}sign-in"
        settings = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
        told = {**settings, "issuer": provider.issuer, "client": CLIENT, "domain": ""}
        secrets.put_secret_value(SecretId=name, SecretString=json.dumps(told))
        yield DeployedPage(chain, provider)


@contextlib.contextmanager
def many_mismatches(chain: Chain, count: int) -> Iterator[None]:
    """So many open mismatches more, each of about a thousand bytes."""
    at = datetime(2026, 3, 2, tzinfo=UTC)
    one = Mismatch("", NOBODYS, date(2026, 3, 2), "unknown_to_us", "open", at, at)
    reference = "R" * REFERENCE_LENGTH
    with chain.world.ledger.begin() as tx:
        tx.replace_mismatches(
            [replace(one, id=f"nobody{n:010d}", reference=f"{reference}{n}") for n in range(count)], []
        )
    try:
        yield
    finally:
        with chain.world.ledger.engine.begin() as connection:
            connection.exec_driver_sql(f"DELETE FROM mismatches WHERE acquirer = '{NOBODYS}'")


def fetched_by_anybody(link: str) -> bytes:
    """What anybody gets who has the link, with no rights of their own."""
    with urllib.request.urlopen(link, timeout=30) as answer:
        return bytes(answer.read())
