"""Says whether a file in the acquirer's archive can prove that an attempt placed ours: not when an earlier one may lie there.

Names may repeat, in a ledger begun anew or by a template, and so may bytes. Two looks tell, and either of them is enough:

    on the way     before a rename is intended: does a file of this name and size lie in the archive already?
    in the ledger  may another file of this name, with these bytes, have left?

What was seen on the way stays with the open attempt, for the rename's answer may be lost with the link, or with its worker.
"""

from __future__ import annotations

import logging

from payments.errors import DeliveryFailed
from payments.records import Attempt, OutboundFile
from transfer.deliver import DeliverPorts
from transfer.looks import stat
from transfer.verdicts import Part

log = logging.getLogger(__name__)
LAY_THERE = "a file of this name and size lay there before the rename"
NOT_SHOWN = "the server did not let us look there before the rename"
ANOTHER_LEFT = "another file of this name, with the same bytes, may have left before"


def seen_before(ports: DeliverPorts, file: OutboundFile) -> Part[str]:
    """Why the archive will prove nothing, as seen before the rename; empty: it may. Nothing is asked where there is none."""
    archive = ports.acquirer.drop.archive
    if not archive:
        return ""
    try:
        found = yield stat(f"{archive}/{file.name}")
    except DeliveryFailed as error:
        log.info("the archive of %s could not be looked into: %s", file.acquirer, error)
        return NOT_SHOWN
    return LAY_THERE if found is not None and found.size == file.size else ""


def proves_nothing(ports: DeliverPorts, file: OutboundFile, attempt: Attempt) -> str:
    """Why the archive proves nothing of this attempt; empty: what lies there with our bytes is ours, or there is none."""
    if attempt.error or not ports.acquirer.drop.archive:
        return attempt.error
    with ports.ledger.look() as tx:
        same = tx.files.find(acquirer=file.acquirer, name=file.name, sha256=file.sha256)
    return ANOTHER_LEFT if any(each.attempts for each in same if each.file_id != file.file_id) else ""
