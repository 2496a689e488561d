"""What one look at the outbox says of each name: ignored, refused, a marker, still in the making, or to be fetched.

seen -> fetching -> collected -> (removed | moved)         a result; `gone` is looked at again, `failed` tried again last
marker -> complete -> concluded                             the marker of all results of one of our files
refused                                                     hostile, too large, no plain file, or known to no rule: an alarm, once
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

from payments.config import AcquirerSection
from payments.keys import safe_name
from payments.markers import SAID, marker_of, named_by
from payments.ports import Transaction
from payments.records import Mismatch, Sighting
from payments.remote_ports import RemoteFile
from transfer.collect_alarms import name_refused, refused_names
from transfer.collect_ports import CollectPorts

PUT_AWAY = ("removed", "moved")
"""A name that comes back after we put its file away is a new file, however much it looks like the old one."""
UNSETTLED = ("seen", "fetching", "failed")


def sight(tx: Transaction, ports: CollectPorts, seen: RemoteFile, listing: Mapping[str, RemoteFile]) -> None:
    """Remember a name; let it be fetched once it is known to be whole, as far as the acquirer lets us know."""
    known = tx.sightings.get(ports.acquirer.name, seen.name)
    state = news(ports.acquirer, known, seen, listing)
    if not state:
        return
    if known is None:
        tx.sightings.add(Sighting(ports.acquirer.name, seen.name, seen.size, seen.modified_s, state))
    else:
        tx.sightings.change(known, size=seen.size, modified_s=seen.modified_s, state=state)
    if state == "refused":
        name_refused(tx, ports, seen)


def news(acquirer: AcquirerSection, known: Sighting | None, seen: RemoteFile, listing: Mapping[str, RemoteFile]) -> str:
    """The state that a look makes of a name; empty when it tells nothing that is not known already.

    One that was refused may have been a result when it was first seen: it has grown too large, or the rules were changed.
    """
    state = rule(acquirer, seen)
    if state == "ignored":
        return ""
    if state == "seen":
        if known is not None and _same(known, seen) and known.state in {"collected", "fetching", "failed"}:
            return ""
        state = "fetching" if _is_whole(acquirer, known, seen, listing) else "seen"
        return "" if known is not None and _same(known, seen) and known.state == state else state
    settled = {"marker", *SAID} if state == "marker" else {"refused"}
    return "" if known is not None and known.state in settled else state


def explained(tx: Transaction, ports: CollectPorts, listing: Mapping[str, RemoteFile]) -> list[Mismatch]:
    """Alarms about names that the rules know by now: the configuration was corrected.

    A name that is merely gone keeps its alarm: what it held was never read.
    """
    found = []
    for alarm in refused_names(tx, ports):
        name = alarm.detail["name"]
        if "\\" in name:  # written in escapes: not the name itself
            continue
        seen = listing.get(name)
        known = {"ignored"} if seen is None else {"ignored", "marker", "seen"}
        if rule(ports.acquirer, seen or RemoteFile(name, 0, 0)) in known:
            found.append(alarm)
    return found


def rule(acquirer: AcquirerSection, seen: RemoteFile) -> str:
    """ignored: a name in the making. marker. refused: hostile, too large, no plain file, known to no rule. seen: a result."""
    if "/" in seen.name or not seen.name.isprintable():
        return "refused"  # also where it begins with a dot: no pattern for harmless names may hide it
    harmless = safe_name(seen.name) == seen.name
    if seen.plain and harmless and named_by(acquirer, seen.name):
        return "marker"  # before the patterns: `*` knows every name
    if any(fnmatch.fnmatchcase(seen.name, pattern) for pattern in acquirer.results.ignore):
        return "ignored"
    known = any(fnmatch.fnmatchcase(seen.name, pattern) for pattern in acquirer.results.names)
    return "seen" if seen.plain and known and harmless and seen.size <= acquirer.results.bytes_max else "refused"


def complete_sets(tx: Transaction, ports: CollectPorts, listing: Mapping[str, RemoteFile]) -> None:
    """A marker of one of our files counts once every result that lay in the outbox beside it is collected."""
    acquirer = ports.acquirer
    if acquirer.complete_when != "marker":
        return
    open_ = tx.sightings.find(acquirer=acquirer.name, state=UNSETTLED)
    if any(each.name in listing for each in open_):
        return
    for marker in tx.sightings.find(acquirer=acquirer.name, state="marker"):
        if tx.files.find(acquirer=acquirer.name, name=named_by(acquirer, marker.name), limit=1):
            tx.sightings.change(marker, state="complete")


def _is_whole(
    acquirer: AcquirerSection, known: Sighting | None, seen: RemoteFile, listing: Mapping[str, RemoteFile]
) -> bool:
    """Whether the acquirer's own sign says so: its marker, or as many equal listings as its setting asks."""
    if acquirer.results.stable == "marker":
        marker = listing.get(marker_of(acquirer, seen.name))
        return marker is not None and marker.plain
    if acquirer.results.stable_listings == 1:
        return True
    return known is not None and known.state not in PUT_AWAY and _same(known, seen)


def _same(known: Sighting, seen: RemoteFile) -> bool:
    return (known.size, known.modified_s) == (seen.size, seen.modified_s)
