"""Keys of the sign-in service as they change, and the settings that say where it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.provider import KEYS_S_MAX, KEYS_S_MIN, Provider
from dashboard.sign_in import SignIn, sign_in_of
from dashboard.tokens import TokenRefused, claims_of
from payments.errors import Unreachable, WrongConfiguration
from runtime.secrets import ReferencedSecrets
from tests.servers.oidc_provider import OidcProvider, oidc_provider, rsa_key
from tests.unit.dashboard.signing_in import settings_of

GOOD = {
    "address": "https://books.example.net",
    "client": "client-1",
    "issuer": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_pool",
    "domain": "https://people.auth.eu-central-1.amazoncognito.com",
}


class Watch:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def service() -> Iterator[OidcProvider]:
    with oidc_provider() as found:
        yield found


def believed(provider: Provider, token: str, settings: SignIn) -> bool:
    try:
        claims_of(token, settings, provider.key, now_s=time.time())
    except TokenRefused:
        return False
    return True


def test_a_new_key_is_found_and_a_withdrawn_one_forgotten(service: OidcProvider) -> None:
    """A key that the service begins to use is asked for once it is seen; one that it withdrew is believed for an hour at the most."""
    watch, settings = Watch(), settings_of(service)
    provider = Provider(settings, seconds=watch)
    old = service.token()
    assert believed(provider, old, settings)
    service.keys = {"key-2": rsa_key(2)}
    watch.now_s += KEYS_S_MIN - 1
    assert believed(provider, old, settings)
    assert not believed(provider, service.token(), settings)
    watch.now_s += 1
    assert believed(provider, service.token(), settings)
    assert not believed(provider, old, settings)
    service.keys = {"key-3": rsa_key(1)}
    known = provider.key("key-2")
    watch.now_s += KEYS_S_MAX - 1
    assert provider.key("key-2") == known
    watch.now_s += 1
    assert provider.key("key-2") is None


def test_unknown_keys_do_not_make_us_ask_on_and_on(service: OidcProvider) -> None:
    """A hundred tokens with invented keys ask the service once a minute, not a hundred times."""
    provider = Provider(settings_of(service), seconds=Watch())
    assert [provider.key(f"invented-{number}") for number in range(100)] == [None] * 100
    assert service.asked["/keys"] == 1


@pytest.mark.parametrize("change", [{"kty": "EC"}, {"use": "enc"}, {"n": "AQAB"}, {"n": 5}, {"e": None}])
def test_a_key_that_is_no_strong_rsa_key_proves_nothing(service: OidcProvider, change: dict[str, Any]) -> None:
    """A key of another kind, for another use, too short or broken is not used, and does not stop the page."""
    settings = settings_of(service)
    [key] = service.jwks()["keys"]
    with pytest.raises(TokenRefused):
        claims_of(service.token(), settings, lambda _: {**key, **change}, now_s=time.time())
    assert claims_of(service.token(), settings, lambda _: key, now_s=time.time())["sub"] == "subject-1"


@pytest.mark.parametrize("answer", [[], "text", None])
def test_an_answer_of_another_shape_is_a_service_that_does_not_answer(
    service: OidcProvider, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    """What is no object in place of keys is said to come from the sign-in service; nobody is believed."""
    monkeypatch.setattr(service, "jwks", lambda: answer)
    with pytest.raises(Unreachable, match="sign-in service"):
        Provider(settings_of(service)).key("key-1")


@pytest.mark.parametrize("keys", [None, 5, [5, {"kid": 5}, {}]])
def test_keys_that_are_none_are_left_out(service: OidcProvider, monkeypatch: pytest.MonkeyPatch, keys: object) -> None:
    """Whatever stands in the list and is no key with a number is no key, and does not stop the page."""
    monkeypatch.setattr(service, "jwks", lambda: {"keys": keys})
    assert Provider(settings_of(service)).key("key-1") is None


def told(folder: Path, text: str) -> SignIn:
    (folder / "sign-in").write_text(text)
    return sign_in_of(ReferencedSecrets(folder), "file:sign-in")


def test_the_settings_that_a_deployment_writes_are_read(tmp_path: Path) -> None:
    """Address, client, issuer and domain, as the dashboard stack writes them into its secret."""
    found = told(tmp_path, json.dumps(GOOD))
    assert (found.host, found.way_back) == ("books.example.net", "https://books.example.net/signed-in")
    assert found.roles_claim == "cognito:groups"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"address": "http://books.example.net"}, "address"),
        ({"address": "http://127.0.0.1"}, "address"),
        ({"address": "https://books.example.net/"}, "address"),
        ({"address": "https://user@books.example.net"}, "address"),
        ({"address": "https://"}, "address"),
        ({"issuer": "http://issuer.example.net"}, "issuer"),
        ({"issuer": "https://issuer.example.net?x=1"}, "issuer"),
        ({"issuer": "https://issuer.example.net:port"}, "issuer"),
        ({"issuer": ""}, "issuer"),
        ({"domain": "ftp://domain.example.net"}, "domain"),
        ({"client": ""}, "client"),
        ({"client": 5}, "client"),
        ({"secret": "x"}, "secret"),
    ],
)
def test_settings_that_would_be_unsafe_are_refused(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    """Without TLS, with anything beside the address, or incomplete: the error names the key, and nothing is served."""
    with pytest.raises(WrongConfiguration, match=f"TIEOUT_SIGN_IN: .*{named}"):
        told(tmp_path, json.dumps({**GOOD, **change}))


@pytest.mark.parametrize("text", ["{}", "not JSON", "[]", "\udcff", "5"])
def test_a_secret_that_is_no_settings_is_refused(tmp_path: Path, text: str) -> None:
    """Whatever else stands in the secret is said to be wrong, without repeating it."""
    (tmp_path / "sign-in").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(WrongConfiguration, match="TIEOUT_SIGN_IN") as error:
        sign_in_of(ReferencedSecrets(tmp_path), "file:sign-in")
    assert "not JSON" not in str(error.value)
