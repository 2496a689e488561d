"""Where people sign in: the settings that a deployment keeps in a secret, because they are known only once it is deployed."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

import msgspec

from dashboard.guard import is_loopback
from payments.errors import WrongConfiguration
from payments.ports import Secrets

VARIABLE = "TIEOUT_SIGN_IN"
"""Holds the reference of the secret."""
STEP = "Deploy the dashboard stack again: it writes the address, the client, the issuer and the domain of the sign-in."


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`address` is what people type. `client` is our number at the `issuer`, which says who somebody is (OpenID Connect).

    `domain` is where Cognito's own pages are, of which only the one to sign out is needed; another issuer publishes that
    itself. `roles_claim` is the claim of its tokens that lists somebody's roles.
    """

    address: str
    client: str
    issuer: str
    domain: str = ""
    roles_claim: str = "cognito:groups"

    @property
    def host(self) -> str:
        return urlsplit(self.address).hostname or ""

    @property
    def way_back(self) -> str:
        return f"{self.address}/signed-in"


def sign_in_of(secrets: Secrets, reference: str) -> SignIn:
    """From the secret that `reference` names. Raises WrongConfiguration when it is not there or wrong, Unreachable."""
    if not reference:
        raise WrongConfiguration(
            f"{VARIABLE} is not set: nobody can sign in, so nobody is shown anything", next_step=STEP
        )
    try:
        found = msgspec.json.decode(secrets.get(reference), type=SignIn)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WrongConfiguration(
            f"{VARIABLE}: the secret is not the settings of a sign-in: {error}", next_step=STEP
        ) from error
    wrong = [name for name in ("issuer", "domain") if getattr(found, name) and not is_trusted(getattr(found, name))]
    if not is_trusted(found.address) or not found.address.startswith("https:") or urlsplit(found.address).path:
        # What keeps somebody signed in is a cookie that no browser sends without TLS.
        wrong.append("address")
    wrong += [name for name in ("client", "issuer") if not getattr(found, name)]
    if wrong:
        raise WrongConfiguration(f"{VARIABLE}: wrong in the secret: {', '.join(sorted(set(wrong)))}", next_step=STEP)
    return found


def is_trusted(url: str) -> bool:
    """Whether secrets may be sent there: over TLS, or to this machine; without user, query and fragment."""
    try:
        parts = urlsplit(url)
        port_is_right = parts.port != 0
    except ValueError:
        return False
    return port_is_right and not _has_extras(parts) and (parts.scheme == "https" or _is_here(parts))


def _has_extras(parts: SplitResult) -> bool:
    return not parts.hostname or "@" in parts.netloc or bool(parts.query) or bool(parts.fragment)


def _is_here(parts: SplitResult) -> bool:
    return parts.scheme == "http" and is_loopback(parts.hostname or "")
