"""The pages of exports: a small list is answered at once, a large one is written by `export` and fetched by a link.

All of it goes by GET, as everything on this page: CloudFront signs no request with a body (docs/aws.md). What a request begins
only costs work, once per list and person; still no other site may begin it through a browser that says who asks.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from dashboard.exports import NOBODY, QUEUE, ROWS_MAX, Export, key_of, pieces, up_to
from dashboard.filters import WrongFilter, filters_of
from dashboard.people import viewer
from runtime.links import link_to

if TYPE_CHECKING:
    from dashboard.app import Pages
    from runtime.wiring import World

log = logging.getLogger(__name__)

AT_ONCE_BYTES_MAX = 4_000_000
"""What is answered at once: Lambda takes an answer of 6 MB, in which these may take a third more."""
WAITING_MAX = 10
NAME = "mismatches.csv"
LINK_LIFE = timedelta(minutes=5)
ASK_AGAIN_S = 3
PATIENCE_S = 900
PIECE_BYTES = 1 << 20
FETCHED = {"content-disposition": f'attachment; filename="{NAME}"'}
CSV = "text/csv; charset=utf-8; header=present"
ELSEWHERE = frozenset({"cross-site", "same-site"})


class ExportPages:
    """Who may see the list may take it away: each person their own exports only."""

    def __init__(self, world: World, pages: Pages) -> None:
        self._world = world
        self._pages = pages

    @property
    def routes(self) -> tuple[tuple[str, Callable[[Request], Response]], ...]:
        return (
            ("/exports/mismatches.csv", self.mismatches),
            ("/exports/{number}", self.show),
            ("/exports/{number}/mismatches.csv", self.fetch),
        )

    def mismatches(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site") in ELSEWHERE:
            return self._pages.problem(403, "Another site asked for an export", "Nothing was exported.")
        try:
            filters = filters_of(request.query_params)
        except WrongFilter as error:
            return self._pages.problem(400, "This list cannot be exported", str(error))
        with self._world.ledger.look() as tx:
            if tx.mismatches.count(**filters.where) > ROWS_MAX:
                text = f"It holds more than {ROWS_MAX:,} mismatches. Narrow the filters."
                return self._pages.problem(400, "This list cannot be exported", text)
            export = Export.of(tx, filters, owner())
            with closing(pieces(tx, filters)) as parts:
                found = up_to(AT_ONCE_BYTES_MAX, parts)
        if found is None:
            return self._asked_for(export)
        log.info("exported at once: %s bytes for %s", len(found), export.owner)
        return Response(found, media_type=CSV, headers=FETCHED)

    def show(self, request: Request) -> Response:
        """Whether it is there yet; this page asks again by itself, without a script."""
        number = known(request.path_params["number"])
        if self._world.store.exists(key_of(owner(), number)):
            return self._pages.render("export.html", number=number, is_there=True)
        asked = request.query_params.get("asked", "")
        asked_s = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 12 else 0
        if not 0 <= time.time() - asked_s < PATIENCE_S:
            return self._pages.problem(
                404, "There is no such export", "It is no longer kept, or could not be made. Ask again."
            )
        answer = self._pages.render("export.html", number=number, is_there=False)
        answer.headers["refresh"] = str(ASK_AGAIN_S)
        return answer

    def fetch(self, request: Request) -> Response:
        """By a link of the object store that ends after minutes; where the store gives none, through this page."""
        key = key_of(owner(), known(request.path_params["number"]))
        if not self._world.store.exists(key):
            return self._pages.problem(404, "There is no such export", "It is kept for a day. Ask for it again.")
        log.info("export fetched: %s for %s", key, owner())
        link = link_to(self._world, key, LINK_LIFE)
        return (
            RedirectResponse(link, 303) if link else StreamingResponse(self._read(key), media_type=CSV, headers=FETCHED)
        )

    def _asked_for(self, export: Export) -> Response:
        queue = self._world.queue
        if not self._world.store.exists(export.key):
            if sum(queue.depth(QUEUE)) >= WAITING_MAX:
                text = f"{WAITING_MAX} others wait. Ask again in some minutes."
                return self._pages.problem(503, "There are too many exports now", text)
            queue.send(QUEUE, export.message)
            log.info("export asked for: %s for %s", export.key, export.owner)
        # By this machine's clock, for the same clock: how long this browser waits already.
        return RedirectResponse(f"/exports/{export.number}?asked={int(time.time())}", 303)

    def _read(self, key: str) -> Iterator[bytes]:
        with self._world.store.local(key) as path, path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece


def owner() -> str:
    person = viewer()
    return person.subject if person is not None else NOBODY


def known(number: str) -> str:
    """As `Export.number` makes them; whatever else is asked for is one that nobody has."""
    is_one = len(number) == 32 and all(each in "0123456789abcdef" for each in number)
    return number if is_one else "0" * 32
