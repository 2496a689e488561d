"""Sends a function's subsegments to X-Ray itself, as the provider of Powertools' tracer, without the X-Ray SDK.

The SDK brings botocore's clients with it and costs a cold start more than everything that curates a chunk. What is needed
of it is one datagram for each subsegment, to the daemon that Lambda runs beside the function (AWS X-Ray Developer Guide,
"Segment documents" and "Sending segment documents to the daemon"). Of an exception only its type is sent (I7).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

from aws_lambda_powertools.tracing.base import BaseProvider, BaseSegment

DATAGRAM_HEADER = b'{"format": "json", "version": 1}\n'


class Subsegment(BaseSegment):
    """One piece of work: its name, its time and what it is about."""

    def __init__(self, name: str, trace: dict[str, str]) -> None:
        self.document: dict[str, Any] = {
            "type": "subsegment",
            "name": name,
            "id": secrets.token_hex(8),
            "trace_id": trace["Root"],
            "parent_id": trace["Parent"],
            "start_time": time.time(),
            "annotations": {},
            "metadata": {},
        }

    def close(self, end_time: float | None = None) -> None:
        self.document["end_time"] = time.time() if end_time is None else end_time

    def add_subsegment(self, subsegment: Any) -> None:
        subsegment.document["parent_id"] = self.document["id"]

    def remove_subsegment(self, subsegment: Any) -> None:
        subsegment.document["parent_id"] = self.document["parent_id"]

    def put_annotation(self, key: str, value: Any) -> None:
        self.document["annotations"][key] = value

    def put_metadata(self, key: str, value: Any, namespace: str = "default") -> None:
        self.document["metadata"].setdefault(namespace, {})[key] = value

    def add_exception(self, exception: BaseException, stack: list[Any], remote: bool = False) -> None:
        del stack  # it holds values
        named = {"id": secrets.token_hex(8), "type": type(exception).__name__, "remote": remote}
        self.document |= {"fault": True, "cause": {"exceptions": [named]}}


class XRay(BaseProvider):
    """Where this invocation is not traced, nothing is made and nothing sent: then a subsegment is None."""

    def __init__(self) -> None:
        self._open: list[Subsegment] = []

    @contextmanager
    def in_subsegment(self, name: str = "message", **_more: Any) -> Generator[Any, None, None]:
        trace = _trace()
        if not trace:
            yield None
            return
        segment = Subsegment(name, trace)
        if self._open:
            self._open[-1].add_subsegment(segment)
        self._open.append(segment)
        try:
            yield segment
        except Exception as error:  # noted in the trace, and let through
            segment.add_exception(error, [])
            raise
        finally:
            self._open.remove(segment)
            segment.close()
            _send(segment.document)

    def in_subsegment_async(self, name: str = "message", **more: Any) -> AbstractAsyncContextManager[Any]:
        # The provider's contract names it; a handler that used it would be told at once.
        raise NotImplementedError("no handler of ours is asynchronous")

    def put_annotation(self, key: str, value: Any) -> None:
        if self._open:
            self._open[-1].put_annotation(key, value)

    def put_metadata(self, key: str, value: Any, namespace: str = "default") -> None:
        if self._open:
            self._open[-1].put_metadata(key, value, namespace)

    def patch(self, modules: Sequence[str]) -> None:
        """Nothing is patched: what libraries send may hold what must not be seen."""

    def patch_all(self) -> None:
        """The same."""


def _trace() -> dict[str, str]:
    """Of this invocation, as Lambda puts it into the environment anew each time; empty when it is not sampled."""
    parts = (part.partition("=") for part in os.environ.get("_X_AMZN_TRACE_ID", "").split(";"))
    trace = {name: value for name, _, value in parts}
    return trace if trace.get("Sampled") == "1" and {"Root", "Parent"} <= trace.keys() else {}


def _send(document: dict[str, Any]) -> None:
    """A trace that is lost must not fail the work."""
    host, _, port = os.environ.get("AWS_XRAY_DAEMON_ADDRESS", "").rpartition(":")
    if not host or not port.isdigit():
        return
    data = DATAGRAM_HEADER + json.dumps(document).encode()
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.sendto(data, (host, int(port)))
