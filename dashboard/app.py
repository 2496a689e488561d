"""The page: routes over the ledger, read-only, server-rendered, without a line of script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from dashboard.export_pages import ExportPages
from dashboard.filters import KINDS, PAGE_ROWS, STATES, WrongFilter, filters_of
from dashboard.guard import HEADERS, Guard
from dashboard.people import sees_audit, viewer
from dashboard.templating import FOLDER, environment
from dashboard.views import audit_trail, books
from payments.display import money
from payments.errors import TieoutError, TryAgain
from payments.keys import file_chain, run_chain
from payments.records import Mismatch
from reconciliation.facts import file_facts, run_facts
from reconciliation.statement import statement
from runtime.attention import attention

if TYPE_CHECKING:
    from dashboard.sign_in import SignIn
    from runtime.wiring import World

NAME_MAX = 200


def create_app(world: World, sign_in: SignIn | None = None) -> Starlette:
    """The page over one world. It only looks: no route changes the ledger. With `sign_in` it asks who somebody is."""
    app = Starlette()
    pages = Pages(world)
    if sign_in is not None:
        from dashboard.door import Door
        from dashboard.provider import Provider

        app.add_middleware(Door, settings=sign_in, provider=Provider(sign_in), problem=pages.problem)
    # What is added last stands before all others.
    public = sign_in.host if sign_in is not None else ""
    app.add_middleware(Guard, host=world.configuration.dashboard.host, public=public)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
    for path, page in (
        ("/", pages.books),
        ("/mismatches", pages.mismatches),
        ("/mismatches/{mismatch_id}", pages.mismatch),
        ("/files/{file_id}", pages.file),
        ("/runs/{source}/{ordinal}", pages.run),
        ("/status.json", pages.status),
        ("/healthz", pages.health),
        *ExportPages(world, pages).routes,
    ):
        app.add_route(path, page, methods=["GET"])
    app.add_exception_handler(HTTPException, pages.refused)
    app.add_exception_handler(TieoutError, pages.troubled)
    app.add_exception_handler(Exception, pages.failed)
    return app


class Pages:
    """One method per page; each takes one consistent look at the ledger."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._templates = environment()

    def books(self, _request: Request) -> Response:
        now = self._world.clock.now()
        with self._world.ledger.look() as tx:
            found = books(tx, self._world.configuration, now)
        return self.render("books.html", **found)

    def mismatches(self, request: Request) -> Response:
        try:
            filters = filters_of(request.query_params)
        except WrongFilter as error:
            return self.problem(400, "This list cannot be shown", str(error))
        with self._world.ledger.look() as tx:
            rows = tx.mismatches.find(order="id", limit=PAGE_ROWS, after=filters.after or None, **filters.where)
            count = tx.mismatches.count(**filters.where)
        more = filters.behind(rows[-1].id) if len(rows) == PAGE_ROWS else ""
        acquirers = [each.name for each in self._world.configuration.acquirer]
        return self.render(
            "mismatches.html",
            filters=filters,
            rows=rows,
            count=count,
            more=more,
            kinds=KINDS,
            states=STATES,
            acquirers=acquirers,
        )

    def mismatch(self, request: Request) -> Response:
        with self._world.ledger.look() as tx:
            found = tx.mismatches.get(known(request.path_params["mismatch_id"]))
            file = tx.files.get(found.file_id) if found is not None and found.file_id else None
            sha = "" if found is None else found.result_sha256
            result = tx.results.get(found.acquirer, sha) if found is not None and sha else None
        if found is None:
            return self.problem(404, "There is no such mismatch", "/mismatches lists them all.")
        return self.render("mismatch.html", mismatch=found, file=file, result=result, compared=compared(found))

    def file(self, request: Request) -> Response:
        with self._world.ledger.look() as tx:
            file = tx.files.get(known(request.path_params["file_id"]))
            if file is None:
                return self.problem(404, "There is no such file", "The first page lists the newest ones.")
            facts = file_facts(tx, file)
            audit, cut = audit_trail(tx, file_chain(file.file_id))
        return self.render("file.html", facts=facts, file=file, audit=audit, audit_cut=cut, sees_audit=sees_audit())

    def run(self, request: Request) -> Response:
        source, ordinal = request.path_params["source"], request.path_params["ordinal"]
        number = int(ordinal) if ordinal.isascii() and ordinal.isdigit() and len(ordinal) < 12 else 0
        with self._world.ledger.look() as tx:
            run = tx.runs.get(known(source), number)
            if run is None:
                return self.problem(404, "There is no such run", "The first page lists the newest ones.")
            facts = run_facts(tx, run)
            audit, cut = audit_trail(tx, run_chain(run.source, run.ordinal))
        return self.render("run.html", facts=facts, run=run, audit=audit, audit_cut=cut, sees_audit=sees_audit())

    def status(self, _request: Request) -> Response:
        """The object of `tieout status --json`."""
        now = self._world.clock.now()
        with self._world.ledger.look() as tx:
            found = attention(tx, self._world.configuration, now)
            return JSONResponse({**statement(tx).to_json(), **found.to_json()})

    def health(self, _request: Request) -> Response:
        """200 as long as the ledger answers."""
        with self._world.ledger.look() as tx:
            tx.firings.count()
        return JSONResponse({"status": "ok"})

    def refused(self, _request: Request, error: Exception) -> Response:
        status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (400, None)
        answer = self.problem(status, "There is no such page" if status == 404 else "This cannot be done here", "")
        answer.headers.update(headers or {})  # which methods are allowed (RFC 9110, 15.5.6)
        return answer

    def troubled(self, _request: Request, error: Exception) -> Response:
        step = error.next_step if isinstance(error, TieoutError) else ""
        status = 503 if isinstance(error, TryAgain) else 500
        return self.problem(status, "The ledger cannot be read now", f"{error} {step}".strip())

    def failed(self, _request: Request, _error: Exception) -> Response:
        # An exception that nobody expected may hold anything in its text: the log names its type and place (I7).
        return self.problem(500, "This page could not be made", "The service log says what happened.")

    def render(self, template: str, *, status: int = 200, **values: Any) -> Response:
        is_virtual = self._world.configuration.clock.start is not None
        values = {"now": self._world.clock.now(), "is_virtual": is_virtual, "person": viewer(), **values}
        return HTMLResponse(self._templates.get_template(template).render(values), status)

    def problem(self, status: int, title: str, text: str) -> Response:
        # This page asks nothing of the ledger, which may be the problem; and it is guarded also where it leaves last.
        template = self._templates.get_template("problem.html")
        body = template.render(title=title, text=text, now=None, is_virtual=False, person=viewer())
        return HTMLResponse(body, status, headers=HEADERS)


def known(name: str) -> str:
    """A part of an address as a key; what no key of ours can be becomes the empty key, which nothing has."""
    return name if name.isprintable() and len(name) <= NAME_MAX else ""


def compared(mismatch: Mismatch) -> list[tuple[str, str, str]]:
    """(field, expected, reported) of what the record holds of either side."""
    detail = mismatch.detail
    is_ours, is_theirs = mismatch.expected_minor is not None, mismatch.reported_minor is not None
    currency = str(detail.get("reported_currency") or mismatch.currency)
    direction = str(detail.get("reported_direction") or mismatch.direction)
    rows = [
        ("amount", money(mismatch.expected_minor, mismatch.currency), money(mismatch.reported_minor, currency)),
        ("currency", mismatch.currency if is_ours else "", currency if is_theirs else ""),
        ("direction", mismatch.direction if is_ours else "", direction if is_theirs else ""),
    ]
    return [row for row in rows if row[1] or row[2]]
