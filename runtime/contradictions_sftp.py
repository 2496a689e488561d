"""Finds what cannot be meant in `[acquirer.sftp]`: proofs that are declared and missing, or given and never used; odd proxies."""

from __future__ import annotations

import re
from collections.abc import Iterator

from payments.config import Sftp
from payments.config_drops import Login
from runtime.contradictions_secrets import NOT_SHOWN, secret_contradictions

PROXY_URL = re.compile(r"(http|socks5)://([^/@\s:\[\]]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}/?")


def sftp_contradictions(sftp: Sftp) -> Iterator[tuple[str, object, str]]:
    """As `contradictions`, with paths relative to the acquirer."""
    yield from _login(sftp, "sftp")
    if sftp.jump is not None:
        yield from _login(sftp.jump, "sftp.jump")
    if sftp.proxy and not PROXY_URL.fullmatch(sftp.proxy):
        yield "sftp.proxy", NOT_SHOWN, "http://host:port and socks5://host:port"
    if bool(sftp.proxy_user) != bool(sftp.proxy_password):
        yield "sftp.proxy_user", "one of proxy_user and proxy_password", "both, or none"
    elif sftp.proxy_user and not sftp.proxy:
        yield "sftp.proxy_user", "a user without a proxy", "only the user of a proxy"
    if ":" in sftp.proxy_user:
        yield "sftp.proxy_user", NOT_SHOWN, "a name without a colon, which would end it"
    yield from secret_contradictions("sftp.proxy_password", sftp.proxy_password)


def _login(login: Login, at: str) -> Iterator[tuple[str, object, str]]:
    given = {name for name in ("key", "password") if getattr(login, name)}
    wanted = set(filter(None, login.authentication.split("_and_")))
    if not given:
        yield at, "neither key nor password", "key or password, by reference"
    elif wanted and wanted != given:
        # A proof that is given and never shown, or declared and missing, is a mistake of the one or the other key.
        yield f"{at}.authentication", login.authentication, f"what is given: {' and '.join(sorted(given))}"
    if login.key_passphrase and not login.key:
        yield f"{at}.key_passphrase", NOT_SHOWN, "only the passphrase of a key"
    for name in ("key", "key_passphrase", "password"):
        yield from secret_contradictions(f"{at}.{name}", getattr(login, name))
