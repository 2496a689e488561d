"""Speaks to the sign-in service: where it is (OpenID Connect Discovery 1.0), its keys, and a code for a token (RFC 6749)."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

from dashboard.sign_in import SignIn, is_trusted
from payments.errors import SetAside, Unreachable

TIMEOUT_S = 8
ANSWER_BYTES_MAX = 256 << 10
KEYS_S_MAX = 3_600
"""A key that the service withdrew is believed for so long at the most."""
KEYS_S_MIN = 60
"""A token that names an unknown key makes us ask again, but not more often: anybody can send one."""
WHAT = "the sign-in service"
BAD_REQUEST, SERVER_ERROR = 400, 500


class Refused(SetAside):
    """The service does not take the code: it is not for us, or it was taken before."""


class Provider:
    """`seconds` is a clock that only runs forward."""

    def __init__(self, settings: SignIn, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._seconds = seconds
        self._endpoints: dict[str, Any] = {}
        self._keys: dict[str, dict[str, Any]] = {}
        self._asked_s: float | None = None

    def page_to_sign_in(self, *, state: str, nonce: str, challenge: str) -> str:
        """Where a browser is sent; `challenge` proves later that the code came back to who asked for it (RFC 7636)."""
        asked = {
            "response_type": "code",
            "client_id": self._settings.client,
            "redirect_uri": self._settings.way_back,
            "scope": "openid email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._endpoint('authorization_endpoint')}?{urlencode(asked)}"

    def page_to_sign_out(self) -> str:
        """Where the service forgets who signed in; our own first page where it has none."""
        home = f"{self._settings.address}/"
        if self._settings.domain:
            asked = {"client_id": self._settings.client, "logout_uri": home}
            return f"{self._settings.domain}/logout?{urlencode(asked)}"
        if not self._discovered().get("end_session_endpoint"):
            return home
        asked = {"client_id": self._settings.client, "post_logout_redirect_uri": home}
        return f"{self._endpoint('end_session_endpoint')}?{urlencode(asked)}"

    def token_for(self, code: str, verifier: str) -> str:
        """The identity token that the code stands for. Raises Refused, Unreachable."""
        given = {
            "grant_type": "authorization_code",
            "client_id": self._settings.client,
            "redirect_uri": self._settings.way_back,
            "code": code,
            "code_verifier": verifier,
        }
        token = self._call(self._endpoint("token_endpoint"), given).get("id_token")
        if not isinstance(token, str):
            raise Refused(f"{WHAT} gave no identity token")
        return token

    def key(self, kid: str) -> dict[str, Any] | None:
        """The public key of that number, as JSON (RFC 7517). Raises Unreachable."""
        age_s = KEYS_S_MAX if self._asked_s is None else self._seconds() - self._asked_s
        if age_s >= KEYS_S_MAX or (kid not in self._keys and age_s >= KEYS_S_MIN):
            found = self._call(self._endpoint("jwks_uri")).get("keys")
            listed = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
            self._keys = {each["kid"]: each for each in listed if isinstance(each.get("kid"), str)}
            self._asked_s = self._seconds()
        return self._keys.get(kid)

    def _endpoint(self, name: str) -> str:
        url = self._discovered().get(name)
        if not isinstance(url, str) or not is_trusted(url):
            raise Unreachable(f"{WHAT} names no {name} that we would trust")
        return url

    def _discovered(self) -> dict[str, Any]:
        if not self._endpoints:
            found = self._call(f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self._settings.issuer:
                raise Unreachable(f"{WHAT} says that it is another one")
            self._endpoints = found
        return self._endpoints

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def _call(self, url: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        """Its answer as an object; redirections are not followed. Raises Refused for a form it refuses, else Unreachable."""
        try:
            status, body = self._exchange(url, form)
            found = json.loads(body) if status == http.client.OK else None
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            raise Unreachable(f"{WHAT} does not answer as it should ({type(error).__name__})") from error
        if form is not None and BAD_REQUEST <= status < SERVER_ERROR:
            raise Refused(f"{WHAT} does not take the code")
        if not isinstance(found, dict):
            raise Unreachable(f"{WHAT} answered {status}")
        return found

    def _exchange(self, url: str, form: dict[str, str] | None) -> tuple[int, bytes]:
        parts = urlsplit(url)
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.netloc, timeout=TIMEOUT_S, context=self._certificates
            )
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_S)
        try:
            if form is None:
                connection.request("GET", parts.path or "/", headers={"accept": "application/json"})
            else:
                headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
                connection.request("POST", parts.path or "/", urlencode(form), headers)
            answer = connection.getresponse()
            return answer.status, answer.read(ANSWER_BYTES_MAX)
        finally:
            connection.close()
