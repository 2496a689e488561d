"""A browser for tests: it keeps the cookies of the page, goes to the sign-in service and comes back."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import httpx
from starlette.types import ASGIApp

from dashboard.begun import SESSION
from dashboard.sign_in import SignIn
from tests.servers.oidc_provider import ADDRESS, CLIENT, OidcProvider

HTML = {"accept": "text/html,application/xhtml+xml"}


def settings_of(provider: OidcProvider, **more: str) -> SignIn:
    return SignIn(**{"address": ADDRESS, "client": CLIENT, "issuer": provider.issuer, **more})


class Browser:
    """`seen` are all addresses that it showed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.cookies = httpx.Cookies()
        self.seen: list[str] = []

    def get(self, path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> httpx.Response:
        """One request, by the full address or a path of the page; redirections are not followed."""
        url = path if path.startswith("https:") else ADDRESS + path
        self.seen.append(url)

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, cookies=self.cookies) as client:
                answer = await client.request(method, url, headers=HTML if headers is None else headers)
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())

    def sent_to_service(self, path: str = "/") -> str:
        """Ask for a page; the way back, with code and state, once the service knows who it is."""
        answer = self.get(path)
        assert answer.status_code == 303
        return self.at_service(answer.headers["location"])

    def at_service(self, url: str) -> str:
        self.seen.append(url)
        answer = httpx.get(url, follow_redirects=False, trust_env=False)
        assert answer.status_code == 302
        return str(answer.headers["location"])

    def sign_in(self, path: str = "/") -> httpx.Response:
        """The whole round trip: what the way back answers."""
        return self.get(self.sent_to_service(path))

    def show(self, path: str = "/") -> httpx.Response:
        """Sign in and see the page that was asked for."""
        answer = self.sign_in(path)
        assert answer.status_code == 303, answer.text
        return self.get(answer.headers["location"])

    def has_session(self) -> bool:
        return SESSION in self.cookies

    def hold(self, token: str) -> None:
        """As if it had been given this session."""
        self.cookies.set(SESSION, token, domain=urlsplit(ADDRESS).hostname or "", path="/")


def set_cookies(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    """Name -> attributes, in lower case, of the cookies that an answer sets."""
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        [(name, _, value), *rest] = [part.strip().partition("=") for part in line.split(";")]
        found[name] = {"value": value} | {key.lower(): given for key, _, given in rest}
    return found
