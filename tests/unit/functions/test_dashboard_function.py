"""The dashboard as CloudFront calls it: events of a function URL in, its answers out, and nothing to anybody without a sign-in."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard import export_pages
from dashboard.begun import BEGUN, SESSION
from functions import asgi, batch, dashboard
from functions.topology import BESIDE
from runtime.wiring import World
from tests.servers.oidc_provider import ADDRESS, CLIENT, OidcProvider, oidc_provider
from tests.unit.dashboard import page_world as pw
from tests.unit.functions.function_url import OWN_NAME, event


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(batch, "_worlds", [])
    monkeypatch.setattr(batch, "_watches", [])
    monkeypatch.setattr(dashboard, "_opened", [])
    monkeypatch.delenv("TIEOUT_SIGN_IN", raising=False)
    found = pw.page_world(tmp_path)
    pw.fill(found)
    batch.use(found)
    return found


@pytest.fixture
def provider(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[OidcProvider]:
    with oidc_provider() as found:
        told = {"address": ADDRESS, "client": CLIENT, "issuer": found.issuer}
        monkeypatch.setenv("TIEOUT_SIGN_IN", "env:SIGN_IN_SETTINGS")
        monkeypatch.setenv("SIGN_IN_SETTINGS", json.dumps(told))
        yield found


def test_the_topology_names_this_handler() -> None:
    """What is deployed as dashboard is this function."""
    [row] = [each for each in BESIDE if each.name == "dashboard"]
    assert row.handler == f"{dashboard.__name__}.{dashboard.handler.__name__}"


@pytest.mark.parametrize(
    "path", ["/", "/status.json", "/healthz", "/static/page.css", "/signed-in", "/sign-out", "/nothing"]
)
@pytest.mark.parametrize("reference", [None, "", "env:NOWHERE", "rubbish"])
def test_without_a_sign_in_nobody_is_shown_anything(
    world: World, monkeypatch: pytest.MonkeyPatch, reference: str | None, path: str
) -> None:
    """Not set, empty or wrong: every path is refused with status 503, without a reason that would help a stranger."""
    if reference is not None:
        monkeypatch.setenv("TIEOUT_SIGN_IN", reference)
    answer = dashboard.handler(event(path), None)
    assert answer["statusCode"] == 503
    assert answer["body"] == "The dashboard cannot be opened now; its log says why.\n"
    assert answer["cookies"] == []


def test_settings_that_come_later_are_taken(provider: OidcProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that could not be read is asked for again with the next request."""
    settings = "SIGN_IN_SETTINGS"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(settings)
        assert dashboard.handler(event("/"), None)["statusCode"] == 503
    assert dashboard.handler(event("/"), None)["statusCode"] == 303


def test_a_page_is_shown_to_who_signed_in(provider: OidcProvider) -> None:
    """The session comes by the list of cookies; the page goes out as text."""
    session = f"{SESSION}={provider.token()}"
    answer = dashboard.handler(event(f"/files/{pw.FILE.file_id}", cookies=("other=1", session)), None)
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    assert pw.FILE.name in answer["body"]
    assert answer["headers"]["content-type"] == "text/html; charset=utf-8"
    found = dashboard.handler(event("/mismatches", query="state=all&kind=amount_differs", cookies=(session,)), None)
    assert '<p id="count">1 mismatch' in found["body"]


def test_who_did_not_sign_in_is_sent_away(provider: OidcProvider) -> None:
    """With what begins the sign-in in a cookie of its own, and our public name in the way back."""
    answer = dashboard.handler(event("/mismatches", query="state=all"), None)
    assert answer["statusCode"] == 303
    assert answer["headers"]["location"].startswith(f"{provider.issuer}/authorize?")
    assert "redirect_uri=https%3A%2F%2Fbooks.example.net%2Fsigned-in" in answer["headers"]["location"]
    [cookie] = answer["cookies"]
    assert cookie.startswith(f"{BEGUN}=")
    assert "set-cookie" not in answer["headers"]


def test_only_the_names_that_cloudfront_stands_for_are_answered(provider: OidcProvider) -> None:
    """CloudFront calls us by the function's own name; the public name is ours too, and no other."""
    statuses = {
        host: dashboard.handler(event("/", host=host), None)["statusCode"]
        for host in (OWN_NAME, "books.example.net", "elsewhere.example.net", "127.0.0.1", "")
    }
    assert statuses == {
        OWN_NAME: 303,
        "books.example.net": 303,
        "elsewhere.example.net": 421,
        "127.0.0.1": 421,
        "": 421,
    }


def test_cookies_and_bytes_go_out_as_lambda_wants_them() -> None:
    """Several cookies stay several, other repeated headers are joined, and what is no text goes in base64."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        headers = [(b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2"), (b"Vary", b"x"), (b"vary", b"y")]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": b"\xff", "more_body": True})
        await send({"type": "http.response.body", "body": body + scope["path"].encode()})

    given = event("/a%20b", method="POST", body=base64.b64encode(b"\xfe").decode(), isBase64Encoded=True)
    answer = asgi.answered(app, given, public="books.example.net")
    assert answer == {
        "statusCode": 201,
        "headers": {"vary": "x, y"},
        "cookies": ["a=1", "b=2"],
        "body": base64.b64encode(b"\xff\xfe/a b").decode(),
        "isBase64Encoded": True,
    }


@pytest.mark.parametrize("byte", [b"a", b'"', b"\x01", "\u6f22".encode(), b"\xff"])
def test_the_largest_answer_fits_into_lambdas(byte: bytes) -> None:
    """Whatever an export is made of, as JSON it stays below Lambda's 6 MB, and comes out as it went in."""
    content = byte * (export_pages.AT_ONCE_BYTES_MAX // len(byte))

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/csv")]})
        await send({"type": "http.response.body", "body": content})

    answer = asgi.answered(app, event("/"), public="books.example.net")
    assert answer["statusCode"] == 200
    assert len(json.dumps(answer)) < 6_000_000
    body = answer["body"]
    assert (base64.b64decode(body) if answer["isBase64Encoded"] else body.encode()) == content
    small = asgi._text_of(byte * (asgi.PLAIN_BYTES_MAX // len(byte)))[0]
    assert len(json.dumps(small)) < 6_000_000


def test_an_application_that_fails_is_answered_for(caplog: pytest.LogCaptureFixture) -> None:
    """Before it answered or after, in silence or with too much: the caller gets a status of 500, and no reason."""

    def failing(*messages: dict[str, Any], error: Exception | None) -> asgi.App:
        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            for message in messages:
                await send(message)
            if error:
                raise error

        return app

    start = {"type": "http.response.start", "status": 500, "headers": [(b"x", b"y")]}
    large = {"type": "http.response.body", "body": b"x" * (asgi.ANSWER_BYTES_MAX + 1)}
    for app in (
        failing(error=ValueError("secret")),
        failing(start, error=ValueError("secret")),
        failing({**start, "status": 200}, large, error=None),
        failing(error=None),
    ):
        answer = asgi.answered(app, event("/"), public="books.example.net")
        assert answer["statusCode"] == 500
        assert "secret" not in answer["body"]


def test_the_ledger_away_is_said_to_who_signed_in(
    provider: OidcProvider, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody expected ends in a page without its text; the function itself does not fail."""

    def away() -> None:
        raise RuntimeError("DE89370400440532013000")

    monkeypatch.setattr(world.ledger, "look", away)
    answer = dashboard.handler(event("/", cookies=(f"{SESSION}={provider.token()}",)), None)
    assert answer["statusCode"] == 500
    assert "This page could not be made" in answer["body"]
    assert "DE89" not in answer["body"]
