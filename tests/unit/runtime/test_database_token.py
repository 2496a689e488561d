"""Logging in to the ledger with an AWS role: the token equals the one that AWS's own library makes."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import botocore.session
import pytest
from botocore import auth
from botocore.credentials import Credentials as Theirs
from botocore.signers import RequestSigner

from payments.errors import WrongConfiguration
from runtime.database_token import Credentials, database_token, database_token_for
from runtime.ledger.engine import open_engine

NOW = datetime(2026, 3, 2, 6, 30, 5, tzinfo=UTC)
HOST, USER = "ledger.cluster-abc.eu-central-1.rds.amazonaws.com", "tieout_deliver"
ADDRESS = SimpleNamespace(host=HOST, port=None, username=USER)


def of_botocore(session_token: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What AWS's own library signs at the same instant with the same credentials."""
    monkeypatch.setattr(auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))
    session = botocore.session.get_session()
    credentials = Theirs("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", session_token or None)
    signer = RequestSigner(
        botocore.model.ServiceId("rds-db"),
        "eu-central-1",
        "rds-db",
        "v4",
        credentials,
        session.get_component("event_emitter"),
    )
    url: str = signer.generate_presigned_url(
        {
            "url_path": "/",
            "query_string": "",
            "headers": {},
            "body": {"Action": "connect", "DBUser": USER},
            "method": "GET",
            "url": f"https://{HOST}:5432/",
            "context": {},
        },
        operation_name="connect",
        expires_in=900,
        region_name="eu-central-1",
        signing_name="rds-db",
    )
    return url.removeprefix("https://")


@pytest.mark.parametrize("session_token", ["", "FwoGZXIvYXdzEBYaD+/=="])
def test_the_token_is_the_one_that_aws_would_make(session_token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without a session token, the parameters and the signature are those of AWS's own library."""
    ours = database_token(
        HOST,
        5432,
        USER,
        region="eu-central-1",
        credentials=Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", session_token),
        now=NOW,
    )
    theirs = of_botocore(session_token, monkeypatch)
    assert sorted(ours.partition("?")[2].split("&")) == sorted(theirs.partition("?")[2].split("&"))
    assert ours.partition("?")[0] == theirs.partition("?")[0]


def test_a_log_in_needs_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a region nothing is signed, and the message says what to set."""
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(WrongConfiguration, match="region") as caught:
        database_token_for(ADDRESS)
    assert "AWS_REGION" in caught.value.next_step


def test_every_connection_gets_a_token_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is made when a connection is opened, not when the engine is: it is valid for minutes only."""
    given: list[str] = []
    engine = open_engine(
        "postgresql://tieout@127.0.0.1:1/tieout", token=lambda url: f"token-{len(given)}-{url.username}"
    )
    passwords = []

    def connect(*_arguments: object, **parameters: str) -> None:
        given.append("")
        passwords.append(parameters["password"])
        raise engine.dialect.dbapi.OperationalError("nobody is there")  # type: ignore[union-attr]

    monkeypatch.setattr(engine.dialect, "connect", connect)
    for _ in range(2):
        with pytest.raises(Exception, match="nobody is there"):
            engine.connect()
    assert passwords == ["token-0-tieout", "token-1-tieout"]


def test_credentials_are_never_shown() -> None:
    """An error or a log line that shows the value shows nothing of it."""
    assert "SECRET" not in repr(Credentials("AKID", "SECRET", "SECRET"))
