"""Collect: brings result files from the acquirer's outbox into results, raw bytes only, each content once.

A poll first commits which names it will fetch, so that reconcile waits for all of them; then it fetches one by one.
"""

from __future__ import annotations

import fnmatch
import logging
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from payments.config import AcquirerSection
from payments.errors import Busy, HostKeyRefused, TieoutError, TryAgain, Unreachable, WrongConfiguration
from payments.hashing import sha256_of
from payments.keys import day_chain, mismatch_id, result_key, safe_name
from payments.leasing import TTL, kept
from payments.ports import Clock, Lease, Ledger, ObjectStore, RemoteDrop, RemoteFile, Transaction
from payments.records import Mismatch, ResultFile, Sighting
from payments.states import MismatchKind, MismatchState
from transfer.planning import business_date

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CollectPorts:
    """What collect needs of the world, for one acquirer."""

    ledger: Ledger
    store: ObjectStore
    clock: Clock
    acquirer: AcquirerSection
    connect: Callable[[], AbstractContextManager[RemoteDrop]]
    spool: Path


def collect_or_wait(ports: CollectPorts) -> int:
    """One poll. An outbox that cannot be looked at is looked at again at the next one: that is the schedule's business.

    A queue that tried every missed poll again would hold as many messages as the acquirer was away for minutes.
    """
    try:
        return collect(ports)
    except (TryAgain, HostKeyRefused, WrongConfiguration) as error:
        log.warning(
            "acquirer %s: its outbox waits for the next poll: %s. %s", ports.acquirer.name, error, error.next_step
        )
        return 0


def collect(ports: CollectPorts) -> int:
    """One poll. Returns how many new result files were stored. Raises Unreachable; Busy when another poll is under way."""
    lease = ports.ledger.leases.acquire(f"collect:{ports.acquirer.name}", ttl=TTL)
    if lease is None:
        raise Busy(f"acquirer {ports.acquirer.name}: another poll of its outbox is under way")
    try:
        with kept(ports.ledger.leases, lease), ports.connect() as drop:
            return _poll(ports, drop, lease)
    finally:
        ports.ledger.leases.release(lease)


def _poll(ports: CollectPorts, drop: RemoteDrop, lease: Lease) -> int:
    listing = {each.name: each for each in drop.listing(ports.acquirer.sftp.outbox)}
    with ports.ledger.begin() as tx:
        for each in listing.values():
            _sight(tx, ports, each)
        fetching = tx.sightings.find(acquirer=ports.acquirer.name, state="fetching")
    stored = 0
    for sighting in fetching:
        ports.ledger.leases.renew(lease, ttl=TTL)
        try:
            stored += _fetch(ports, drop, sighting, listing.get(sighting.name))
        except Unreachable:
            raise
        except TieoutError as error:  # one bad file never stops its neighbours
            log.warning("result file %a of %s: %s", sighting.name, ports.acquirer.name, error)
            with ports.ledger.begin() as tx:
                tx.sightings.change(sighting, state="failed")
    return stored


def _sight(tx: Transaction, ports: CollectPorts, seen: RemoteFile) -> None:
    """Remember a name; let it be fetched once it looked the same in as many listings as the acquirer's setting asks."""
    known = tx.sightings.get(ports.acquirer.name, seen.name)
    state = _rule(ports.acquirer, seen)
    if state == "ignored":
        return
    fresh = Sighting(ports.acquirer.name, seen.name, seen.size, seen.modified_s, state)
    if known is None:
        if state == "seen" and ports.acquirer.results.stable_listings == 1:
            fresh = Sighting(ports.acquirer.name, seen.name, seen.size, seen.modified_s, "fetching")
        tx.sightings.add(fresh)
        if state == "refused":
            _alarm(tx, ports, seen)
        return
    if state == "refused":
        # It was a result when it was first seen, and has grown too large since, or the rules were changed.
        if known.state != "refused":
            tx.sightings.change(known, size=seen.size, modified_s=seen.modified_s, state="refused")
            _alarm(tx, ports, seen)
        return
    same = (known.size, known.modified_s) == (seen.size, seen.modified_s)
    if same and known.state in {"collected", "fetching"}:
        return
    ready = same or ports.acquirer.results.stable_listings == 1
    tx.sightings.change(known, size=seen.size, modified_s=seen.modified_s, state="fetching" if ready else "seen")


def _rule(acquirer: AcquirerSection, seen: RemoteFile) -> str:
    """ignored: a name in the making. refused: hostile, too large, or known to no rule. seen: a result."""
    if "/" in seen.name or not seen.name.isprintable():
        return "refused"  # also where it begins with a dot: no pattern for harmless names may hide it
    if any(fnmatch.fnmatchcase(seen.name, pattern) for pattern in acquirer.results.ignore):
        return "ignored"
    known = any(fnmatch.fnmatchcase(seen.name, pattern) for pattern in acquirer.results.names)
    harmless = safe_name(seen.name) == seen.name
    return "seen" if known and harmless and seen.size <= acquirer.results.bytes_max else "refused"


def _alarm(tx: Transaction, ports: CollectPorts, seen: RemoteFile) -> None:
    """A name that no rule knows is not fetched, and somebody must look at it."""
    now, name = ports.clock.now(), ports.acquirer.name
    day = business_date(ports.acquirer, now)
    if tx.mismatches.get(mismatch_id("outbox", name, seen.name)) is not None:
        return  # one alarm per name, whatever becomes of it next
    shown = seen.name.encode("unicode_escape").decode()[:200]
    tx.replace_mismatches(
        [
            Mismatch(
                id=mismatch_id("outbox", name, seen.name),
                acquirer=name,
                business_date=day,
                kind=str(MismatchKind.FILE_UNREADABLE),
                state=str(MismatchState.OPEN),
                detail={
                    "why": "a name that no rule knows, or a file that is too large",
                    "name": shown,
                    "size": seen.size,
                },
                opened_at=now,
                updated_at=now,
            )
        ],
        [],
    )
    tx.audit.append(day_chain(name, day), "outbox_file_refused", {"name": shown, "size": seen.size})


def _fetch(ports: CollectPorts, drop: RemoteDrop, sighting: Sighting, listed: RemoteFile | None) -> int:
    """Store the bytes, then record them. A file that changed while it was read is looked at again in the next poll."""
    path = f"{ports.acquirer.sftp.outbox}/{sighting.name}"
    if listed is None:
        _forget(ports, sighting, "gone")
        return 0
    with tempfile.TemporaryDirectory(dir=ports.spool) as folder:
        local = Path(folder) / "result"
        drop.download(path, local)
        after = drop.stat(path)
        changed = after is not None and (after.size, after.modified_s) != (sighting.size, sighting.modified_s)
        if changed or local.stat().st_size != sighting.size:
            _forget(ports, sighting, "seen")
            return 0
        digest, now = sha256_of(local), ports.clock.now()
        day = business_date(ports.acquirer, now)
        with ports.ledger.begin() as tx:
            known = tx.results.get(ports.acquirer.name, digest)
        key = result_key(ports.acquirer.name, day, digest, sighting.name) if known is None else known.key
        ports.store.put_file(key, local)
    return _record(ports, sighting, key, digest)


def _record(ports: CollectPorts, sighting: Sighting, key: str, digest: str) -> int:
    now, name = ports.clock.now(), ports.acquirer.name
    day = business_date(ports.acquirer, now)
    with ports.ledger.begin() as tx:
        known = tx.results.get(name, digest)
        earlier = tx.results.find(acquirer=name, name=sighting.name)
        tx.sightings.change(sighting, state="collected", sha256=digest)
        if known is not None:
            if known.name != sighting.name:
                tx.audit.append(
                    day_chain(name, day), "duplicate_result_file", {"name": sighting.name, "sha256": digest}
                )
            return 0
        note = "new content under a name that was collected before" if earlier else ""
        tx.results.add(ResultFile(name, digest, sighting.name, key, day, sighting.size, now, "collected", note=note))
        tx.audit.append(
            day_chain(name, day),
            "collected",
            {"name": sighting.name, "sha256": digest, "size": sighting.size, "note": note},
        )
    return 1


def _forget(ports: CollectPorts, sighting: Sighting, state: str) -> None:
    with ports.ledger.begin() as tx:
        tx.sightings.change(sighting, state=state)
