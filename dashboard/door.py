"""Lets nobody in who has not signed in: the round trip to the sign-in service, and a look at each request's cookie.

    browser                     page                        sign-in service
       | any page                 |                                |
       |------------------------->| no session, or it is over      |
       |<-- state, nonce, verifier in a cookie; go there           |
       |---------------------------------------------------------->| who are you?
       |<-- code, state; go to /signed-in -------------------------|
       |------------------------->| code, verifier --------------->|
       |                          |<-------------- identity token -|
       |<-- the token in a cookie; go to the page you wanted       |

The session is the identity token itself: signed by the service, for us, for minutes. So there is no key of ours to keep and
nothing to look up. All of it goes by GET: CloudFront signs no request with a body (docs/aws.md).
"""

from __future__ import annotations

import logging
import time
from typing import Any, Protocol
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.begun import BEGUN, BEGUN_S_MAX, SESSION, Begun, give, take
from dashboard.people import Person, seen_by
from dashboard.provider import Provider
from dashboard.sign_in import SignIn
from dashboard.tokens import TokenRefused, claims_of, is_answer_to, life_s, person_of
from payments.errors import SetAside, TieoutError, TryAgain

log = logging.getLogger(__name__)

CODE_MAX = 2_000
AGAIN = "Go back to the books to sign in again."


class Problem(Protocol):
    """Makes a page that says what is wrong."""

    def __call__(self, status: int, title: str, text: str) -> Response: ...


class Door:
    """ASGI middleware. Tokens know no virtual clock."""

    def __init__(self, app: ASGIApp, settings: SignIn, provider: Provider, problem: Problem) -> None:
        self._app = app
        self._settings = settings
        self._provider = provider
        self._problem = problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Styles and icon are the same for everybody, and the page that says what is wrong needs them.
        if scope["type"] != "http" or scope["path"].startswith("/static/"):
            await self._app(scope, receive, send)
            return
        found = await run_in_threadpool(self._look, Request(scope))
        if isinstance(found, Response):
            await found(scope, receive, send)
            return
        with seen_by(found):
            await self._app(scope, receive, send)

    def _look(self, request: Request) -> Person | Response:
        """Who it is, or what they are told instead."""
        try:
            match request.scope["path"]:
                case "/signed-in":
                    return self._come_back(request)
                case "/sign-out":
                    return self._sign_out(request)
                case _:
                    return self._known(request)
        except TieoutError as error:
            log.warning("signing in: %s. %s", error, error.next_step)
            status = 503 if isinstance(error, TryAgain) else 500
            return self._problem(status, "Nobody can sign in now", "The log of the dashboard says why.")

    def _known(self, request: Request) -> Person | Response:
        try:
            person = person_of(self._claims(request.cookies.get(SESSION, "")), self._settings)
        except TokenRefused:
            return self._begin(request)
        if not person.roles:
            text = "You are signed in, but none of the roles viewer, operator, approver and auditor is yours."
            with seen_by(person):
                return self._problem(403, "You have no role here", text)
        return person

    def _claims(self, token: str) -> dict[str, Any]:
        return claims_of(token, self._settings, self._provider.key, now_s=time.time())

    def _begin(self, request: Request) -> Response:
        """Send a person to the service. A program, which asked for no page, is told that it is not signed in."""
        if request.method != "GET" or "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse("sign in first\n", status_code=401)
        query = request.url.query
        begun = Begun.fresh(quote(request.scope["path"]) + (f"?{query}" if query else ""))
        answer = go_to(self._provider.page_to_sign_in(state=begun.state, nonce=begun.nonce, challenge=begun.challenge))
        give(answer, BEGUN, begun.cookie, BEGUN_S_MAX)
        return answer

    def _come_back(self, request: Request) -> Response:
        begun, asked = Begun.read(request.cookies.get(BEGUN, "")), request.query_params
        if begun is None or not begun.is_answered_by(asked.get("state", "")):
            text = f"It was begun in another browser or window, or more than {BEGUN_S_MAX // 60} minutes ago. {AGAIN}"
            return self._problem(400, "This sign-in cannot be finished", text)
        try:
            answer = self._let_in(begun, asked.get("code", ""), asked.get("iss", self._settings.issuer))
        except SetAside as error:
            log.warning("a sign-in was refused: %s", error)
            answer = self._problem(403, "The sign-in was refused", AGAIN)
        take(answer, BEGUN)
        return answer

    def _let_in(self, begun: Begun, code: str, issuer: str) -> Response:
        if issuer != self._settings.issuer:
            raise TokenRefused("another issuer answered")  # RFC 9207
        if not code or len(code) > CODE_MAX:
            raise TokenRefused("the sign-in service sent no code")
        token = self._provider.token_for(code, begun.verifier)
        claims = self._claims(token)
        if not is_answer_to(claims, begun.nonce):
            raise TokenRefused("the token was made for another sign-in")
        person = person_of(claims, self._settings)
        log.info("signed in: %s as %s", person.subject, ", ".join(sorted(person.roles)) or "nobody we know")
        answer = go_to(f"{self._settings.address}{begun.wanted}")
        give(answer, SESSION, token, life_s(claims, now_s=time.time()))
        return answer

    def _sign_out(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site") == "cross-site":
            return self._problem(403, "Another site asked to sign you out", "You are still signed in.")
        try:
            answer = go_to(self._provider.page_to_sign_out())
        except TryAgain:
            # Here the session ends in any case.
            answer = go_to(f"{self._settings.address}/")
        take(answer, SESSION)
        return answer


def go_to(url: str) -> Response:
    return Response(status_code=303, headers={"location": url})
