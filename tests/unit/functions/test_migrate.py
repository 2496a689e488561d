"""The function that a deployment calls: what it tells CloudFormation, and when."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from functions import batch
from functions.custom_resource import answered
from functions.migrate import handler
from payments.errors import NotAllowed, WrongConfiguration

SECRET = "DE89370400440532013000"


class Told:
    """CloudFormation's side of the answer: a server on 127.0.0.1 that keeps what it is told."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        told = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    def event(self, kind: str, **properties: str) -> dict[str, Any]:
        return {
            "RequestType": kind,
            "ResponseURL": f"http://127.0.0.1:{self.server.server_port}/answer",
            "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/tieout-dev-state/guid",
            "RequestId": "unique",
            "LogicalResourceId": "Ledger",
            "ResourceProperties": {"ServiceToken": "arn", **properties},
        }


@pytest.fixture
def told() -> Iterator[Told]:
    found = Told()
    thread = threading.Thread(target=found.server.serve_forever, daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


def test_success_is_told(told: Told) -> None:
    """What the act found goes back with the three names that CloudFormation asked with."""
    answered(told.event("Create", Writers="a"), lambda given: {"Seen": given["Writers"]})
    (answer,) = told.answers
    assert answer["Status"] == "SUCCESS"
    assert answer["Data"] == {"Seen": "a"}
    assert (answer["RequestId"], answer["LogicalResourceId"]) == ("unique", "Ledger")
    assert answer["StackId"].endswith("guid")
    assert answer["PhysicalResourceId"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(WrongConfiguration("the ledger refuses user"), "the ledger refuses user"), (ValueError(SECRET), "ValueError")],
)
def test_a_failure_is_told_and_the_deployment_rolls_back(told: Told, error: Exception, reason: str) -> None:
    """CloudFormation hears why at once, and of an exception we do not know only its type."""

    def fail(_given: dict[str, Any]) -> dict[str, str]:
        raise error

    answered(told.event("Update"), fail)
    (answer,) = told.answers
    assert (answer["Status"], answer["Reason"]) == ("FAILED", reason)


def test_a_stack_that_goes_takes_nothing_with_it(told: Told) -> None:
    """Delete is answered, and the ledger is not touched."""
    answered(told.event("Delete"), lambda _given: pytest.fail("the ledger was touched"))
    assert told.answers[0]["Status"] == "SUCCESS"


def test_a_person_gets_the_error_itself() -> None:
    """Called without CloudFormation, what goes wrong is raised, not told to nobody."""
    with pytest.raises(ValueError, match="invalid literal"):
        answered({}, lambda given: {"x": str(int(given.get("x", "wrong")))})


def test_nobody_else_is_told() -> None:
    """An address that is not https is refused: an event is not proof of who asks."""
    with pytest.raises(NotAllowed, match="https"):
        answered({"ResponseURL": "file:///etc/passwd", "StackId": "", "RequestId": "", "LogicalResourceId": ""}, dict)


def test_a_ledger_without_users_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    """On SQLite the tables are made and the users refused: the deployment is told that it points at the wrong ledger."""
    (tmp_path / "tieout.toml").write_text("")
    monkeypatch.setenv("TIEOUT_CONFIG", str(tmp_path / "tieout.toml"))
    monkeypatch.setattr(batch, "_worlds", [])
    handler(told.event("Create", Writers="tieout_curate", Readers=""), None)
    assert "PostgreSQL" in told.answers[0]["Reason"]
    assert (tmp_path / "ledger.db").stat().st_size > 0
