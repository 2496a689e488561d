"""Answers CloudFormation when it calls a function as a resource: it waits an hour for an answer that never comes.

(AWS CloudFormation User Guide, "Custom resource request objects" and "response objects".)
"""

from __future__ import annotations

import json
import logging
import urllib.request
from collections.abc import Callable
from typing import Any

from payments.errors import NotAllowed, TieoutError

log = logging.getLogger(__name__)

TIMEOUT_S = 20
REASON_MAX = 500


def answered(event: dict[str, Any], act: Callable[[dict[str, Any]], dict[str, str]]) -> dict[str, Any]:
    """Call `act` with the resource's properties and tell CloudFormation how it ended; when a resource goes, nothing is done.

    Called by a person (no `ResponseURL`), an error is raised and the answer returned.
    """
    url = event.get("ResponseURL", "")
    answer: dict[str, Any] = {"Status": "SUCCESS", "Data": {}}
    try:
        if event.get("RequestType") != "Delete":  # the ledger stays: it is the memory of what was paid
            answer["Data"] = act(event.get("ResourceProperties", {}))
    except Exception as error:
        # Not silenced: CloudFormation is told FAILED and rolls back; without it, waiting for an answer, it would hang an hour.
        if not url:
            raise
        log.exception("the ledger could not be brought to this version")
        # The text of an exception we do not know may hold anything (I7), and the console shows it.
        answer |= {
            "Status": "FAILED",
            "Reason": str(error)[:REASON_MAX] if isinstance(error, TieoutError) else type(error).__name__,
        }
    if url:
        _tell(url, answer | {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")})
    return answer


def _tell(url: str, answer: dict[str, Any]) -> None:
    # The emulator that the stacks are tested in answers on this machine, without TLS.
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise NotAllowed("CloudFormation is answered over https only")
    body = json.dumps(answer | {"PhysicalResourceId": "tieout-ledger"}).encode()
    request = urllib.request.Request(url, data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310  (checked)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310  (checked)
        pass
