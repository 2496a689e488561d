"""Believes an identity token or refuses it (OpenID Connect Core 1.0, 3.1.3.7), and says who it is about."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from math import isfinite
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import decode

from dashboard.people import ROLES, Person
from dashboard.sign_in import SignIn
from payments.errors import SetAside

ALGORITHMS = ("RS256",)
"""Never what a token asks for: `none`, or our public key taken for a shared secret."""
KEY_BITS_MIN = 2048
BITS_PER_CHARACTER = 6
"""Of base64, as a key is written."""
LEEWAY_S = 60
SESSION_S_MAX = 8 * 3_600
"""After so long somebody signs in again, whatever the token says."""
TOKEN_MAX = 3_800
"""What fits into a cookie beside its name and attributes: browsers drop one of more than 4,096 bytes."""

FindKey = Callable[[str], dict[str, Any] | None]


class TokenRefused(SetAside):
    """A token that says nothing about who somebody is. The message never holds a part of it."""


def claims_of(token: str, settings: SignIn, find_key: FindKey, *, now_s: float) -> dict[str, Any]:
    """What the issuer states about somebody to us, now. Raises TokenRefused; and Unreachable by `find_key`."""
    if len(token) > TOKEN_MAX:
        raise TokenRefused(f"it is longer than {TOKEN_MAX} characters")
    try:
        found = decode(
            token, lambda signed: _key(signed.headers(), find_key), registry=JWSRegistry(algorithms=ALGORITHMS)
        )
    except (JoseError, ValueError) as error:
        raise TokenRefused(f"it cannot be believed ({type(error).__name__})") from error
    claims = found.claims
    if claims.get("iss") != settings.issuer:
        raise TokenRefused("it is of another issuer")
    _check_audience(claims, settings.client)
    if claims.get("token_use", "id") != "id":
        raise TokenRefused("it is no identity token")
    expires_s, issued_s = _seconds(claims, "exp"), _seconds(claims, "iat")
    if now_s >= expires_s:
        raise TokenRefused("it has expired")
    if issued_s > now_s + LEEWAY_S or now_s - issued_s > SESSION_S_MAX:
        raise TokenRefused("it was issued too long ago, or is not issued yet")
    if not (isinstance(claims.get("sub"), str) and claims["sub"]):
        raise TokenRefused("it is about nobody")
    return claims


def is_answer_to(claims: dict[str, Any], nonce: str) -> bool:
    """Whether the token was made for the sign-in that this browser began."""
    given = claims.get("nonce")
    return isinstance(given, str) and hmac.compare_digest(given.encode(), nonce.encode())


def person_of(claims: dict[str, Any], settings: SignIn) -> Person:
    """With those roles that we know; a claim that is no list of texts gives none."""
    listed = claims.get(settings.roles_claim)
    given = {each for each in listed if isinstance(each, str)} if isinstance(listed, list) else set()
    email = claims.get("email")
    return Person(claims["sub"], email if isinstance(email, str) and email else claims["sub"], ROLES & given)


def life_s(claims: dict[str, Any], *, now_s: float) -> int:
    """For how many seconds the token may still be shown to us."""
    return int(min(claims["exp"], claims["iat"] + SESSION_S_MAX) - now_s)


def _key(header: dict[str, Any], find_key: FindKey) -> RSAKey:
    kid = header.get("kid")
    found = find_key(kid) if isinstance(kid, str) else None
    if found is None or found.get("kty") != "RSA" or found.get("use", "sig") != "sig":
        raise TokenRefused("it is signed by a key that the issuer does not name")
    # Of the key only what makes it one: whatever else stands beside it decides nothing.
    only: dict[str, str | list[str]] = {name: str(found.get(name, "")) for name in ("kty", "n", "e")}
    if len(only["n"]) * BITS_PER_CHARACTER < KEY_BITS_MIN:
        raise TokenRefused(f"its key has less than {KEY_BITS_MIN} bits")
    return RSAKey.import_key(only)


def _check_audience(claims: dict[str, Any], client: str) -> None:
    audience = claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    # Where it is for others too, it must say that we are who it was issued to.
    if client not in listed or claims.get("azp", client if len(listed) == 1 else None) != client:
        raise TokenRefused("it is for somebody else")


def _seconds(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    # JSON as Python reads it knows NaN, which is neither before nor after anything.
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise TokenRefused(f"it has no {name}")
    return value
