"""What a function prints: lines that name the object they are about, figures for CloudWatch, and nothing that must not be seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from payments.keys import ChunkKey
from runtime.notices import notice
from runtime.wakes import about as about_of
from runtime.wakes import wake
from tests.contract.ledger_world import NOON

RAW = ChunkKey("legacy", NOON.date(), 1, 0).raw
IBAN = "DE89370400440532013000"
PROGRAM = f"""
import json, logging, sys
from functions import batch
from payments.errors import Unreachable
log = logging.getLogger("transfer.attempt")

def act(body):
    log.info("account %s was seen", {IBAN!r})
    if body.startswith("bad"):
        raise ValueError({IBAN!r})
    logging.getLogger("botocore.hooks").info("chatter")

event = json.loads(sys.argv[1])
print(json.dumps(batch.handle(event, act)))
"""
FIGURES = """
from functions.observe import publish
from runtime.measures import Measure
of = {"Acquirer": "northbank"}
publish([Measure("FilesInDoubt", "Count", 1.0), Measure("BytesToDeliver", "Bytes", 5.0, of), Measure("FilesToDeliver", "Count", 2.0, of)])
publish(Measure(f"M{number}", "Count", 1.0) for number in range(250))
"""


def printed(program: str, *arguments: str, **more: str) -> list[dict[str, Any]]:
    """The lines of JSON of a fresh process in the environment of a function."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "AWS_LAMBDA_FUNCTION_NAME": "tieout-dev-curate",
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert IBAN not in done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def event(*bodies: str) -> str:
    records = [{"messageId": str(number), "body": body, "eventSource": "aws:sqs"} for number, body in enumerate(bodies)]
    return json.dumps({"Records": records})


def test_each_line_names_what_it_is_about() -> None:
    """The correlation id is the object's key or the wake-up's subject, message by message; libraries are not heard."""
    lines = printed(PROGRAM, event(notice("b", RAW, 1), wake("northbank")))
    said = [line for line in lines if line.get("message", "").endswith("was seen")]
    assert [line["correlation_id"] for line in said] == [RAW, "northbank"]
    assert not any("chatter" in str(line) for line in lines)
    done = [line for line in lines if line.get("message", "").startswith("done in ")]
    assert [line["correlation_id"] for line in done] == [RAW, "northbank"]
    assert lines[-1] == {"batchItemFailures": []}


def test_an_account_is_never_printed() -> None:
    """A message's text is masked, and of an exception nobody knows only type and place are shown (I7)."""
    strange = notice("b", f"raw/legacy/{IBAN}.parquet", 1)
    assert printed(PROGRAM, event(strange))[0]["correlation_id"] == "raw/legacy/<masked>.parquet"
    lines = printed(PROGRAM, event("bad", wake("northbank")))
    failed = next(line for line in lines if line.get("error"))
    assert failed["error"] == "ValueError"
    assert failed["place"] == "__main__:10"
    assert failed["correlation_id"] == "unknown"
    assert lines[-1] == {"batchItemFailures": [{"itemIdentifier": "0"}]}


def test_a_trace_without_a_daemon_changes_nothing(tmp_path: Path) -> None:
    """With tracing on, the answer is the same; the trace goes to the address of the environment, heard or not."""
    lines = printed(
        PROGRAM,
        event(wake("northbank")),
        LAMBDA_TASK_ROOT=str(tmp_path),
        AWS_XRAY_DAEMON_ADDRESS="127.0.0.1:9",
        _X_AMZN_TRACE_ID="Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
    )
    assert lines[-1] == {"batchItemFailures": []}


def test_figures_are_printed_for_cloudwatch() -> None:
    """Figures about the same thing share a line with its dimensions, at most a hundred of them."""
    lines = printed(FIGURES)
    named = [
        (line.get("Acquirer"), sorted(each["Name"] for each in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]))
        for line in lines
    ]
    assert named[:2] == [(None, ["FilesInDoubt"]), ("northbank", ["BytesToDeliver", "FilesToDeliver"])]
    assert [len(names) for _, names in named[2:]] == [99, 99, 52]
    assert {line["_aws"]["CloudWatchMetrics"][0]["Namespace"] for line in lines} == {"Tieout"}
    assert next(line for line in lines if "BytesToDeliver" in line)["BytesToDeliver"] == [5.0]


@pytest.mark.parametrize(
    ("body", "about"),
    [(notice("b", RAW, 1), RAW), (wake("northbank"), "northbank"), ("{", "unknown"), ("\ud800", "unknown")],
)
def test_what_a_message_is_about(body: str, about: str) -> None:
    """A notice is about its object, a wake-up about its subject, anything else about something unknown."""
    assert about_of(body) == about
