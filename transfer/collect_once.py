"""Fetches from a server that gives each file once: what came over is on our disk before anything else can go wrong.

    download to NAME.part -> fsync -> NAME (it is ours now) -> store -> record -> remove NAME

Whatever stops us behind the second step, the next poll goes on from NAME, before it asks the server for anything.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from payments.errors import TieoutError
from payments.records import Sighting
from payments.remote_ports import RemoteDrop, RemoteFile
from transfer.collect_alarms import fetch_broke
from transfer.collect_fetch import keep
from transfer.collect_ports import CollectPorts

FOLDER = "read-once"
"""Below the spool. What lies in it may exist nowhere else."""
SIZE_DIFFERS = "another size came than was listed"


def fetch_once(ports: CollectPorts, drop: RemoteDrop, sighting: Sighting, listed: RemoteFile | None) -> int:
    """As `fetch`, for a server that gives a file once. What came is kept as it is: nobody can ask for it again."""
    ours = _place(ports, sighting)
    if not ours.exists():
        if listed is None:
            with ports.ledger.begin() as tx:
                fetch_broke(tx, ports, sighting.name, "it vanished before it was read")
                tx.sightings.change(sighting, state="gone")
            return 0
        ours.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = ours.with_suffix(".part")
        try:
            path = f"{ports.acquirer.drop.outbox}/{sighting.name}"
            drop.download(path, part, bytes_max=ports.acquirer.results.bytes_max)
        except TieoutError:
            with ports.ledger.begin() as tx:
                fetch_broke(tx, ports, sighting.name, "the fetch broke; the acquirer may not have it any more")
            raise
        _make_ours(part, ours)
    return _keep(ports, sighting, ours)


def go_on(ports: CollectPorts) -> int:
    """Store and record what earlier polls brought over and could not store. Needs no connection."""
    folder = _folder(ports)
    kept = sorted(folder.iterdir()) if folder.exists() else []
    if not kept:
        return 0
    with ports.ledger.begin() as tx:
        # Any state: the name may have been seen again, or called failed, since its bytes came over.
        known = {_place(ports, each).name: each for each in tx.sightings.find(acquirer=ports.acquirer.name)}
    stored = 0
    for ours in kept:
        sighting = known.get(ours.name)
        if sighting is not None and ours.suffix != ".part":
            stored += _keep(ports, sighting, ours)
    return stored


def _keep(ports: CollectPorts, sighting: Sighting, ours: Path) -> int:
    note = "" if ours.stat().st_size == sighting.size else SIZE_DIFFERS
    stored = keep(ports, sighting, ours, note=note)
    ours.unlink()
    return stored


def _folder(ports: CollectPorts) -> Path:
    return ports.spool / FOLDER / ports.acquirer.name


def _place(ports: CollectPorts, sighting: Sighting) -> Path:
    """One place per name: while bytes lie in it, the name is not asked for again."""
    return _folder(ports) / hashlib.sha256(sighting.name.encode()).hexdigest()[:32]


def _make_ours(part: Path, ours: Path) -> None:
    _sync(part, os.O_RDONLY)
    part.rename(ours)
    _sync(ours.parent, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    opened = os.open(path, flags)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
