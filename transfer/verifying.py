"""Compares what the acquirer's server holds with what was sent: before the rename, and once more behind it.

    size             by the upload and by the rename themselves: nothing is asked here
    read_back        the whole remote file is read
    hash_extension   the server is asked for its SHA-256

Before the rename other bytes mean that nothing is placed. Behind it they mean doubt: something on the server changes files.
"""

from __future__ import annotations

import logging

from payments.errors import DeliveryFailed, TieoutError
from payments.records import OutboundFile
from transfer.deliver import DeliverPorts
from transfer.looks import inbox, same_bytes, stat
from transfer.many_acts import Act
from transfer.verdicts import Part

log = logging.getLogger(__name__)


def verify_before(ports: DeliverPorts, file: OutboundFile, temporary: str) -> Part[str]:
    """What was proved beyond the size, for the receipt. Raises DeliveryFailed for other bytes, and what reading raises."""
    chosen = ports.chosen.verify
    # The receipt says by which rule where the configuration leaves the choice to the probe.
    rule = f" ({chosen.why})" if ports.acquirer.verify == "strongest" else ""
    if chosen.value == "size":
        return rule
    if not (yield from _same(ports, file, temporary)):
        raise DeliveryFailed(
            f"file {file.name}: what {ports.acquirer.name} holds is not what was sent; it was not renamed",
            next_step="Ask the acquirer what changes files on its server; it is tried again.",
        )
    how = "bytes read back" if chosen.value == "read_back" else "hash by the server"
    return f", {how} before it{rule}"


def verify_behind(ports: DeliverPorts, file: OutboundFile) -> Part[tuple[bool, str]]:
    """Whether the target, seen there, may count as ours; and how that is known, for the receipt, or what is wrong.

    Only other bytes that still lie there speak against it: the rename was confirmed, and the acquirer may take the file at
    any time. What the server or the link refuses now takes away nothing of that.
    """
    if ports.chosen.verify.value == "size":
        return True, ""
    target = inbox(ports, file.name)
    try:
        if (yield from _same(ports, file, target)):
            return True, ", and again behind it"
        if (yield stat(target)) is None:
            return True, ", taken while it was compared again behind it"
    except TieoutError as error:
        log.info("%s could not be compared again: %s", target, error)
        return True, ", taken or not readable behind it"
    return False, "the inbox shows other bytes than were sent: something changed them in or behind the rename"


def _same(ports: DeliverPorts, file: OutboundFile, path: str) -> Part[bool]:
    if ports.chosen.verify.value == "read_back":
        return (yield from same_bytes(ports, path, file.sha256))
    return bool((yield Act("sha256", (path,))) == file.sha256)
