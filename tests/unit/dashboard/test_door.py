"""Signing in: who gets in, who does not, and that nothing of a token is seen anywhere but in its cookie."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OctKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import encode

from dashboard.app import create_app
from dashboard.begun import BEGUN, SESSION
from dashboard.people import Person, seen_by, viewer
from dashboard.tokens import TOKEN_MAX
from tests.servers.oidc_provider import ADDRESS, CLIENT, LIFE_S, OidcProvider, oidc_provider, rsa_key
from tests.unit.dashboard import page_world as pw
from tests.unit.dashboard.signing_in import HTML, Browser, set_cookies, settings_of

FILE = f"/files/{pw.FILE.file_id}"
PATHS = ("/", "/mismatches", FILE, "/runs/legacy/1", "/status.json", "/healthz", "/nothing")
HOUR_S = 3_600


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    with oidc_provider() as found:
        yield found


@pytest.fixture
def browser(provider: OidcProvider, tmp_path: Path) -> Browser:
    world = pw.page_world(tmp_path)
    pw.fill(world)
    return Browser(create_app(world, settings_of(provider)))


@pytest.mark.parametrize("path", PATHS)
def test_nobody_sees_anything_before_signing_in(browser: Browser, path: str) -> None:
    """Every page sends a browser away and tells a program that it is not signed in; neither answer holds anything."""
    answer = browser.get(path)
    assert (answer.status_code, answer.text) == (303, "")
    for method, headers in (("GET", {"accept": "*/*"}), ("POST", HTML), ("HEAD", {})):
        refused = browser.get(path, method=method, headers=headers)
        assert refused.status_code == 401
        assert refused.text in ("sign in first\n", "")


@pytest.mark.parametrize("path", ["/", FILE, "/mismatches?kind=amount_differs&state=all"])
def test_signing_in_leads_to_the_page_that_was_asked_for(browser: Browser, path: str) -> None:
    """After the round trip the wanted page is shown, with the person's name and a way to sign out."""
    answer = browser.sign_in(path)
    assert (answer.status_code, answer.headers["location"]) == (303, ADDRESS + path)
    shown = browser.get(path)
    assert shown.status_code == 200
    assert "someone@example.net" in shown.text
    assert '<a href="/sign-out">Sign out</a>' in shown.text


def test_cookies_are_kept_from_everybody_else(browser: Browser) -> None:
    """Both cookies are for this host over TLS, out of scripts' reach and bounded; what began a sign-in is gone after it."""
    began = browser.get("/")
    back = browser.get(browser.at_service(began.headers["location"]))
    for answer, name, age_s in ((began, BEGUN, 600), (back, SESSION, LIFE_S)):
        cookie = set_cookies(answer)[name]
        assert name.startswith("__Host-")
        assert {"secure", "httponly"} <= set(cookie)
        assert (cookie["path"], cookie["samesite"].lower()) == ("/", "lax")
        assert "domain" not in cookie
        assert 0 < int(cookie["max-age"]) <= age_s
    assert set_cookies(back)[BEGUN]["max-age"] == "0"


def test_no_token_is_in_an_address_a_page_or_the_log(
    browser: Browser, provider: OidcProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """The token is in its cookie only; the log names the subject and the roles, no e-mail address."""
    with caplog.at_level(logging.INFO, "dashboard"):
        way_back = browser.sent_to_service()
        verifier = browser.cookies[BEGUN].split(".")[2]
        browser.get(way_back)
        shown = browser.get("/")
    for text in (*browser.seen, shown.text, caplog.text):
        assert browser.cookies[SESSION].split(".")[1] not in text
        assert verifier not in text
    assert "signed in: subject-1 as viewer" in caplog.text
    assert "someone@" not in caplog.text


def unsigned(_header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode() for each in ({"alg": "none"}, claims)]
    return ".".join([*(part.rstrip("=") for part in parts), ""])


def with_public_key_as_secret(provider: OidcProvider) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    key = OctKey.import_key(provider.keys["key-1"].as_pem(private=False).hex().encode())
    return lambda header, claims: encode(
        {**header, "alg": "HS256"}, claims, key, registry=JWSRegistry(algorithms=["HS256"])
    )


def by(key: RSAKey, kid: str | None) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    header = {"alg": "RS256"} if kid is None else {"alg": "RS256", "kid": kid}
    return lambda _, claims: encode(header, claims, key, registry=JWSRegistry(algorithms=["RS256"]))


def changed_after(provider: OidcProvider) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    def sign(header: dict[str, Any], claims: dict[str, Any]) -> str:
        head, _, signature = provider.signed(header, claims).split(".")
        body = base64.urlsafe_b64encode(json.dumps({**claims, "cognito:groups": ["approver"]}).encode())
        return f"{head}.{body.decode().rstrip('=')}.{signature}"

    return sign


FORGED: dict[str, Callable[[OidcProvider], Callable[[dict[str, Any], dict[str, Any]], str]]] = {
    "alg none": lambda _: unsigned,
    "the public key as a shared secret": with_public_key_as_secret,
    "an unknown kid": lambda _: by(rsa_key(2), "key-9"),
    "no kid": lambda provider: by(provider.keys["key-1"], None),
    "another key under a known kid": lambda _: by(rsa_key(2), "key-1"),
    "claims changed after signing": changed_after,
    "no token at all": lambda _: lambda *_: "",
    "rubbish": lambda _: lambda *_: "a.b.c",
    "RS512": lambda provider: (
        lambda header, claims: encode(
            {**header, "alg": "RS512"}, claims, provider.keys["key-1"], registry=JWSRegistry(algorithms=["RS512"])
        )
    ),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_token_lets_nobody_in(browser: Browser, provider: OidcProvider, case: str) -> None:
    """Whatever its own header asks for, a token is believed only by RS256 and a key that the issuer names."""
    provider.sign = FORGED[case](provider)
    answer = browser.sign_in()
    assert answer.status_code == 403
    assert not browser.has_session()
    assert browser.get("/").status_code == 303


WRONG: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://elsewhere.example.net"},
    "another client": {"aud": "client-2"},
    "us among others, issued to nobody said": {"aud": [CLIENT, "client-2"]},
    "us among others, issued to another": {"aud": [CLIENT, "client-2"], "azp": "client-2"},
    "for us, issued to another": {"azp": "client-2"},
    "no audience": {"aud": None},
    "expired": {"exp": time.time() - 1},
    "no end": {"exp": None},
    "an end that is no number": {"exp": "2099"},
    "an end that is not a number": {"exp": float("nan")},
    "issued in the future": {"iat": time.time() + HOUR_S, "exp": time.time() + 2 * HOUR_S},
    "issued yesterday": {"iat": time.time() - 24 * HOUR_S},
    "no time of issue": {"iat": None},
    "another nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "about nobody": {"sub": None},
    "an access token": {"token_use": "access"},
    "too large for a cookie": {"more": "x" * TOKEN_MAX},
}


@pytest.mark.parametrize("case", WRONG)
def test_a_token_that_is_not_for_this_sign_in_lets_nobody_in(
    browser: Browser, provider: OidcProvider, case: str
) -> None:
    """Issuer, audience, times, nonce, subject and use must all be right, though the signature is."""
    provider.more = WRONG[case]
    assert browser.sign_in().status_code == 403
    assert not browser.has_session()


@pytest.mark.parametrize(
    "change",
    [{"exp": time.time() - 1}, {"iat": time.time() - 9 * HOUR_S}, {"aud": "client-2"}, {"token_use": "access"}],
)
def test_a_session_is_looked_at_on_every_request(
    browser: Browser, provider: OidcProvider, change: dict[str, Any]
) -> None:
    """A session that is over, or was never ours, begins a new sign-in; one that is good shows the page."""
    browser.hold(provider.token())
    assert browser.get("/").status_code == 200
    browser.hold(provider.token(**change))
    assert browser.get("/").status_code == 303


def test_audience_may_be_a_list(browser: Browser, provider: OidcProvider) -> None:
    """A token for several that says it was issued to us is one of ours (OpenID Connect Core, 2)."""
    provider.more = {"aud": [CLIENT, "client-2"], "azp": CLIENT}
    assert browser.show().status_code == 200


def test_a_code_is_worthless_in_another_browser(browser: Browser, provider: OidcProvider, tmp_path: Path) -> None:
    """Without the cookie that began it, or with that of another sign-in, a way back leads nowhere; and it leads once."""
    way_back = browser.sent_to_service()
    other = Browser(create_app(pw.page_world(tmp_path), settings_of(provider)))
    assert other.get(way_back).status_code == 400
    other.get("/")
    assert other.get(way_back).status_code == 400
    assert browser.get(way_back).status_code == 303
    assert browser.get(way_back).status_code == 400


def test_a_code_that_was_put_under_another_state_is_refused(
    browser: Browser, provider: OidcProvider, tmp_path: Path
) -> None:
    """The state is ours but the code was made for somebody else: its verifier does not fit (PKCE)."""
    thief = Browser(create_app(pw.page_world(tmp_path), settings_of(provider)))
    code = thief.sent_to_service().partition("code=")[2].partition("&")[0]
    ours = browser.sent_to_service()
    mine = ours.partition("code=")[2].partition("&")[0]
    assert browser.get(ours.replace(mine, code)).status_code == 403
    assert not browser.has_session()


@pytest.mark.parametrize("query", ["", "&code=", f"&code={'x' * 3000}", "&code=guessed", "&error=access_denied"])
def test_a_way_back_without_a_code_of_ours_is_refused(browser: Browser, query: str) -> None:
    """An error of the service, an empty code and a guessed one end in a page that says so, without a session."""
    way_back = browser.sent_to_service()
    state = way_back.partition("state=")[2].partition("&")[0]
    answer = browser.get(f"/signed-in?state={state}{query}")
    assert answer.status_code == 403
    assert "The sign-in was refused" in answer.text
    assert not browser.has_session()


def test_an_answer_of_another_issuer_is_refused(browser: Browser, provider: OidcProvider) -> None:
    """Where the way back names an issuer, it must be ours (RFC 9207)."""
    way_back = browser.sent_to_service().partition("&iss=")[0]
    assert browser.get(f"{way_back}&iss=https%3A%2F%2Felsewhere.example.net").status_code == 403


@pytest.mark.parametrize(
    "path", ["//elsewhere.example.net/", "/%5Celsewhere.example.net", "/\N{SNOWMAN}", "/%0d%0aset-cookie:a=b"]
)
def test_signing_in_never_leads_elsewhere(browser: Browser, path: str) -> None:
    """Whatever page was asked for, the way after signing in begins with our own address, in one line."""
    location = browser.sign_in(path).headers["location"]
    assert location.startswith(f"{ADDRESS}/")
    assert location.isprintable()


@pytest.mark.parametrize("groups", [None, [], ["admin"], "viewer", [["viewer"]], {"viewer": True}])
def test_without_a_role_there_is_nothing_to_see(browser: Browser, provider: OidcProvider, groups: object) -> None:
    """Who signed in and has none of our roles is told so on every page, and may sign out."""
    provider.groups = groups
    answer = browser.show(FILE)
    assert answer.status_code == 403
    assert "You have no role here" in answer.text
    assert "Sign out" in answer.text
    assert pw.FILE.name not in answer.text
    assert browser.get("/status.json").status_code == 403


@pytest.mark.parametrize("role", ["viewer", "operator", "approver", "auditor"])
def test_every_role_sees_the_books_and_all_but_viewers_the_audit_trail(
    browser: Browser, provider: OidcProvider, role: str
) -> None:
    """The trail names people and their reasons: operators, approvers and auditors see it."""
    provider.groups = [role]
    assert browser.show().status_code == 200
    for path in (FILE, "/runs/legacy/1"):
        shown = browser.get(path)
        assert shown.status_code == 200
        assert ("Audit trail" in shown.text) == (role != "viewer")


def test_roles_may_be_listed_in_another_claim(provider: OidcProvider, tmp_path: Path) -> None:
    """Another issuer than Cognito lists them elsewhere: `roles_claim`."""
    provider.groups, provider.more = None, {"roles": ["auditor"]}
    browser = Browser(create_app(pw.page_world(tmp_path), settings_of(provider, roles_claim="roles")))
    assert browser.show().status_code == 200


def test_one_persons_page_is_not_anothers(browser: Browser, provider: OidcProvider) -> None:
    """Two sessions that alternate on one application each see their own name and their own rights."""
    tokens = {"one@example.net": "viewer", "two@example.net": "auditor"}
    for _ in range(3):
        for email, role in tokens.items():
            browser.hold(provider.token(**{"email": email, "cognito:groups": [role]}))
            text = browser.get(FILE).text
            assert [each for each in tokens if each in text] == [email]
            assert ("Audit trail" in text) == (role == "auditor")


def test_nobody_is_left_behind_by_a_request() -> None:
    """During a request it is somebody's, and after it nobody's."""
    person = Person("subject-1", "name", frozenset())
    with seen_by(person):
        assert viewer() == person
    assert viewer() is None


def test_signing_out_ends_the_session_here_and_there(provider: OidcProvider, tmp_path: Path) -> None:
    """The cookie goes, and the browser is sent where the service forgets the person: by Cognito's own page or a published one."""
    world = pw.page_world(tmp_path)
    for more, expected in (
        ({"domain": "https://people.example.net"}, "https://people.example.net/logout?client_id=client-1&logout_uri="),
        ({}, f"{provider.issuer}/end?client_id=client-1&post_logout_redirect_uri="),
    ):
        browser = Browser(create_app(world, settings_of(provider, **more)))
        browser.show()
        answer = browser.get("/sign-out")
        assert answer.headers["location"] == f"{expected}https%3A%2F%2Fbooks.example.net%2F"
        assert set_cookies(answer)[SESSION]["max-age"] == "0"
        assert browser.get("/").status_code == 303


def test_another_site_cannot_sign_anybody_out(browser: Browser) -> None:
    """A link or picture of another site does nothing to the session."""
    browser.show()
    answer = browser.get("/sign-out", headers={**HTML, "sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert browser.get("/").status_code == 200


def test_the_page_answers_to_its_public_name_only(browser: Browser) -> None:
    """Neither another name nor one of this machine is answered, not even with the way to sign in."""
    browser.show()
    for name in ("elsewhere.example.net", "127.0.0.1", "localhost", "books.example.net.elsewhere.example.net"):
        assert browser.get("/", headers={**HTML, "host": name}).status_code == 421
    assert browser.get("/", headers={**HTML, "host": "books.example.net:443"}).status_code == 200


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://elsewhere.example.net"},
        {"authorization_endpoint": "http://elsewhere.example.net/authorize"},
        {"authorization_endpoint": None},
    ],
)
def test_a_service_that_cannot_be_trusted_is_not_used(
    browser: Browser, provider: OidcProvider, discovery: dict[str, Any]
) -> None:
    """A service that says it is another, or wants secrets sent without TLS, gets nobody from us."""
    provider.discovery = discovery
    answer = browser.get("/")
    assert answer.status_code == 503
    assert "Nobody can sign in now" in answer.text


def test_a_service_that_is_away_lets_nobody_in(tmp_path: Path) -> None:
    """Without the sign-in service pages say so with status 503, whoever asks; signing out still works."""
    with oidc_provider() as provider:
        token = provider.token()
        browser = Browser(create_app(pw.page_world(tmp_path), settings_of(provider)))
    browser.hold(token)
    assert browser.get("/").status_code == 503
    answer = browser.get("/sign-out")
    assert answer.status_code == 303
    assert set_cookies(answer)[SESSION]["max-age"] == "0"


def test_every_answer_of_the_door_carries_strict_headers(browser: Browser) -> None:
    """Redirections, refusals and the way back are kept by nobody and framed by nobody, as all pages."""
    way_back = browser.sent_to_service()
    answers = [browser.get("/"), browser.get("/", headers={}), browser.get("/signed-in"), browser.get("/sign-out")]
    for answer in (*answers, browser.get(way_back)):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert browser.get("/static/page.css").status_code == 200
