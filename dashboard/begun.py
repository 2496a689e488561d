"""What a browser keeps while its person is away to sign in, and the two cookies of the page."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from starlette.responses import Response

# `__Host-`: browsers take such a cookie over TLS only, from this very name, and let no name beside or below it set one.
SESSION, BEGUN = "__Host-tieout-session", "__Host-tieout-begun"
BEGUN_S_MAX = 600
WANTED = re.compile(r"/[!-~]{0,1000}")
"""A path of ours with its query; our own address is always put before it."""
HOME = "/"


@dataclass(frozen=True, slots=True)
class Begun:
    """`state` brings the answer back to this browser, `nonce` the token, and `verifier` makes the code worthless to others."""

    state: str
    nonce: str
    verifier: str
    wanted: str

    @classmethod
    def fresh(cls, wanted: str) -> Begun:
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, verifier, wanted if WANTED.fullmatch(wanted) else HOME)

    @classmethod
    def read(cls, cookie: str) -> Begun | None:
        """None for what we did not write."""
        try:
            state, nonce, verifier, packed = filter(None, cookie.split("."))
            wanted = urlsafe_b64decode(packed + "==").decode()
        except ValueError:
            return None
        return cls(state, nonce, verifier, wanted if WANTED.fullmatch(wanted) else HOME)

    @property
    def cookie(self) -> str:
        wanted = urlsafe_b64encode(self.wanted.encode()).decode().rstrip("=")
        return f"{self.state}.{self.nonce}.{self.verifier}.{wanted}"

    @property
    def challenge(self) -> str:
        """Of the verifier, which the service sees only with the code (RFC 7636, 4.2)."""
        return urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")

    def is_answered_by(self, state: str) -> bool:
        return hmac.compare_digest(self.state.encode(), state.encode())


def give(answer: Response, name: str, value: str, age_s: int) -> None:
    # Lax: the way back from the service is a link from another site, and must bring the cookie along.
    answer.set_cookie(name, value, max_age=age_s, path="/", secure=True, httponly=True, samesite="lax")


def take(answer: Response, name: str) -> None:
    """Away from the browser."""
    give(answer, name, "", 0)
