"""Fetches one result file: the bytes are in the store before anything else is done with them, and then it is recorded."""

from __future__ import annotations

import tempfile
from pathlib import Path

from payments.errors import DeliveryFailed
from payments.hashing import sha256_of
from payments.keys import day_chain, result_key
from payments.records import ResultFile, Sighting
from payments.remote_ports import RemoteDrop, RemoteFile
from transfer.business_day import business_date
from transfer.collect_alarms import fetch_came_right
from transfer.collect_ports import CollectPorts

NEW_VERSION = "new content under a name that was collected before"


def fetch(ports: CollectPorts, drop: RemoteDrop, sighting: Sighting, listed: RemoteFile | None) -> int:
    """Store the bytes, then record them. Raises DeliveryFailed when what was read is not what was listed.

    It changed while it was read: the next listing shows that, and it is waited for once more. Or its server does not tell
    the truth about sizes: then it fails each time, which is an alarm.
    """
    path = f"{ports.acquirer.drop.outbox}/{sighting.name}"
    if listed is None:
        set_state(ports, sighting, "gone")
        return 0
    with tempfile.TemporaryDirectory(dir=ports.spool) as folder:
        local = Path(folder) / "result"
        drop.download(path, local, bytes_max=ports.acquirer.results.bytes_max)
        after = drop.stat(path)
        got = local.stat().st_size
        changed = after is not None and (after.size, after.modified_s) != (sighting.size, sighting.modified_s)
        if changed or got != sighting.size:
            raise DeliveryFailed(
                f"{sighting.size} bytes were listed and {got} were read: it changed meanwhile, or its server lies about it",
                next_step="It is tried again. If it happens each time, ask the acquirer what its server lists.",
            )
        return keep(ports, sighting, local)


def keep(ports: CollectPorts, sighting: Sighting, local: Path, *, note: str = "") -> int:
    """Put the bytes into the store and record them. Returns 1 when their content is new."""
    digest = sha256_of(local)
    with ports.ledger.begin() as tx:
        known = tx.results.get(ports.acquirer.name, digest)
    day = business_date(ports.acquirer, ports.clock.now())
    key = result_key(ports.acquirer.name, day, digest, sighting.name) if known is None else known.key
    ports.store.put_file(key, local)
    return _record(ports, sighting, key, digest, local.stat().st_size, note)


def set_state(ports: CollectPorts, sighting: Sighting, state: str) -> None:
    """Say what became of a name."""
    with ports.ledger.begin() as tx:
        tx.sightings.change(sighting, state=state)


def _record(ports: CollectPorts, sighting: Sighting, key: str, digest: str, size: int, note: str) -> int:
    now, name = ports.clock.now(), ports.acquirer.name
    day = business_date(ports.acquirer, now)
    with ports.ledger.begin() as tx:
        known = tx.results.get(name, digest)
        earlier = tx.results.find(acquirer=name, name=sighting.name)
        tx.sightings.change(sighting, state="collected", sha256=digest)
        fetch_came_right(tx, ports, sighting.name)
        if known is not None:
            if known.name != sighting.name:
                twin = {"name": sighting.name, "sha256": digest}
                tx.audit.append(day_chain(name, day), "duplicate_result_file", twin)
            return 0
        notes = "; ".join(filter(None, (NEW_VERSION if earlier else "", note)))
        tx.results.add(ResultFile(name, digest, sighting.name, key, day, size, now, "collected", note=notes))
        body = {"name": sighting.name, "sha256": digest, "size": size, "note": notes}
        tx.audit.append(day_chain(name, day), "collected", body)
    return 1
