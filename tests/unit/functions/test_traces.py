"""What a function tells X-Ray: one datagram for each message, which says what it is about and nothing else."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from functions.traces import XRay
from runtime.notices import notice
from tests.unit.functions.test_observe import PROGRAM, RAW, event, printed

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
IBAN = "DE89370400440532013000"
NO_SDK = """
import sys
from functions.observe import Observation
with Observation().of("{}"):
    pass
found = [name for name in sys.modules if name.startswith(("aws_xray_sdk", "boto3", "botocore."))]
assert not found, found
"""


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE)
        yield listener


def heard(listener: socket.socket) -> dict[str, Any]:
    header, _, body = listener.recv(65_536).partition(b"\n")
    assert json.loads(header) == {"format": "json", "version": 1}
    found: dict[str, Any] = json.loads(body)
    return found


def test_a_subsegment_is_part_of_the_invocation(daemon: socket.socket) -> None:
    """It names its trace and its parent, how long it took, and what it was about; one within another names that one."""
    provider = XRay()
    with provider.in_subsegment(name="message") as outer:
        outer.put_annotation("about", "northbank")
        with provider.in_subsegment(name="session"):
            provider.put_annotation("files", 3)
    inner, sent = heard(daemon), heard(daemon)
    assert (sent["name"], sent["annotations"]) == ("message", {"about": "northbank"})
    assert (sent["trace_id"], sent["parent_id"]) == ("1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8")
    assert sent["start_time"] <= sent["end_time"]
    assert (inner["parent_id"], inner["annotations"]) == (sent["id"], {"files": 3})


def test_an_exception_is_its_type_only(daemon: socket.socket) -> None:
    """What an exception says may hold an account: only that there was one, and of which type, is sent (I7)."""
    with pytest.raises(ValueError, match=IBAN), XRay().in_subsegment():
        raise ValueError(IBAN)
    sent = heard(daemon)
    assert sent["fault"] is True
    assert [each["type"] for each in sent["cause"]["exceptions"]] == ["ValueError"]
    assert IBAN not in json.dumps(sent)


def test_each_message_of_a_function_is_a_subsegment(daemon: socket.socket) -> None:
    """Through the whole handler: what it was about, and whether it failed, as a child of the invocation that Lambda traces."""
    given = {name: os.environ[name] for name in ("AWS_XRAY_DAEMON_ADDRESS", "_X_AMZN_TRACE_ID")}
    bodies = (notice("b", RAW, 1), f"bad {IBAN}")
    printed(PROGRAM, event(*bodies), LAMBDA_TASK_ROOT="/var/task", **given)
    done, failed = heard(daemon), heard(daemon)
    assert (done["annotations"], "fault" in done) == ({"about": RAW}, False)
    assert (failed["annotations"], failed["fault"]) == ({"about": "unknown"}, True)
    for each in (done, failed):
        assert (each["trace_id"], each["parent_id"]) == ("1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8")
        assert IBAN not in json.dumps(each)


@pytest.mark.parametrize("trace", ["", TRACE.replace("Sampled=1", "Sampled=0"), "Sampled=1", "nonsense"])
def test_nothing_is_sent_where_nothing_is_traced(
    daemon: socket.socket, monkeypatch: pytest.MonkeyPatch, trace: str
) -> None:
    """An invocation that X-Ray did not choose makes no subsegment; its work goes on."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    with XRay().in_subsegment() as segment:
        assert segment is None
    daemon.setblocking(False)
    with pytest.raises(BlockingIOError):
        daemon.recv(1)


def test_tracing_imports_no_client_of_aws() -> None:
    """Neither the X-Ray SDK nor anything of botocore but its name is imported, with tracing on: a cold start pays for none."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "LAMBDA_TASK_ROOT": "/var/task",
        "_X_AMZN_TRACE_ID": TRACE,
    }
    subprocess.run([sys.executable, "-W", "error", "-c", NO_SDK], env=environment, check=True, timeout=60)
