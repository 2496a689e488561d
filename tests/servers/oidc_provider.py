"""A sign-in service as OpenID Connect describes it: discovery, authorization code with PKCE, RS256 tokens, keys that change."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import encode

CLIENT = "client-1"
ADDRESS = "https://books.example.net"
LIFE_S = 900


@functools.cache
def rsa_key(number: int) -> RSAKey:
    """Made once per process: making one takes long."""
    return RSAKey.generate_key(2048, {"kid": f"number-{number}"})


class OidcProvider:
    """`sign` makes the token of a code from its header and claims; a test may put another in its place."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.keys = {"key-1": rsa_key(1)}
        self.groups: Any = ["viewer"]
        self.more: dict[str, Any] = {}
        self.discovery: dict[str, Any] = {}
        self.asked: Counter[str] = Counter()
        self.sign: Callable[[dict[str, Any], dict[str, Any]], str] = self.signed
        self._codes: dict[str, dict[str, str]] = {}

    def signed(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        return encode(header, claims, self.keys[header["kid"]], registry=JWSRegistry(algorithms=["RS256"]))

    def claims(self, **more: Any) -> dict[str, Any]:
        """Of a token that is right; of `more`, None leaves a claim out."""
        now_s = int(time.time())
        found = {
            "iss": self.issuer,
            "sub": "subject-1",
            "aud": CLIENT,
            "iat": now_s,
            "exp": now_s + LIFE_S,
            "token_use": "id",
            "email": "someone@example.net",
            "cognito:groups": self.groups,
        } | more
        return {name: value for name, value in found.items() if value is not None}

    def token(self, **more: Any) -> str:
        return self.signed({"alg": "RS256", "kid": next(iter(self.keys))}, self.claims(**more))

    # What it answers.

    def discovered(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/end",
        } | self.discovery

    def jwks(self) -> dict[str, Any]:
        return {"keys": [{**key.as_dict(private=False), "kid": kid, "use": "sig"} for kid, key in self.keys.items()]}

    def authorized(self, asked: dict[str, str]) -> str | None:
        """Where the browser is sent with its code; None for a request that is wrong."""
        if (
            (asked.get("response_type"), asked.get("client_id")) != ("code", CLIENT)
            or asked.get("redirect_uri") != f"{ADDRESS}/signed-in"
            or "openid" not in asked.get("scope", "").split()
            or asked.get("code_challenge_method") != "S256"
            or not asked.get("code_challenge")
        ):
            return None
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], 'iss': self.issuer})}"

    def redeemed(self, given: dict[str, str]) -> dict[str, str] | None:
        """The tokens for a code, once; None for a request that is wrong."""
        asked = self._codes.pop(given.get("code", ""), None)
        challenge = urlsafe_b64encode(hashlib.sha256(given.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or (given.get("grant_type"), given.get("client_id")) != ("authorization_code", CLIENT)
            or given.get("redirect_uri") != asked["redirect_uri"]
            or challenge.decode().rstrip("=") != asked["code_challenge"]
        ):
            return None
        claims = self.claims(**{"nonce": asked["nonce"], **self.more})
        token = self.sign({"alg": "RS256", "kid": next(iter(self.keys))}, claims)
        return {"id_token": token, "access_token": "not-for-us", "token_type": "Bearer"}


def _handler(provider: OidcProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            provider.asked[parts.path] += 1
            match parts.path:
                case "/.well-known/openid-configuration":
                    self._say(200, provider.discovered())
                case "/keys":
                    self._say(200, provider.jwks())
                case "/authorize":
                    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
                    back = provider.authorized(asked)
                    self._say(302 if back else 400, {}, location=back or "")
                case _:
                    self._say(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            given = {name: values[0] for name, values in parse_qs(body).items()}
            found = provider.redeemed(given) if self.path == "/token" else None
            self._say(200 if found else 400, found or {"error": "invalid_grant"})

        def _say(self, status: int, answer: dict[str, Any], *, location: str = "") -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            if location:
                self.send_header("location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextlib.contextmanager
def oidc_provider() -> Iterator[OidcProvider]:
    """At a free port of 127.0.0.1, in threads of this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    provider = OidcProvider(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = _handler(provider)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
