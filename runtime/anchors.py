"""Anchors of the audit log: the newest hash of every chain, put where nobody overwrites it, outside the ledger (I8).

    heads/<date>T<time>Z.json = {"anchor": {anchored_at, chains, sha256, previous, heads}, "signature": {...} or null}

`heads` maps a chain to [number, hash] of its newest record, `sha256` is that of the sorted list, `previous` names the anchor
before by key and hash. What is signed is the canonical JSON of `anchor`. A chain that was cut short, or taken out as a
whole, still looks sound in the ledger; its anchor says that there was more.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from payments.errors import TieoutError
from payments.firings import last_fired, mark_fired
from runtime.ledger.audit import AuditRecord, heads
from runtime.ledger.types import canonical_json
from runtime.signing import is_signed, sign

if TYPE_CHECKING:
    from payments.ports import ObjectStore
    from runtime.wiring import World

log = logging.getLogger(__name__)

PREFIX = "heads/"
FIRING = "anchor"
EVERY = timedelta(days=1)
Head = tuple[str, int, str]
"""(chain, number, hash) of a record."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """One anchor as stored. `fault` says what is wrong with it, `signer` whose public key signed it (empty: nobody's)."""

    key: str
    sha256: str
    heads: frozenset[Head]
    signer: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """What anchors say of the ledger: `upto` is the key of the newest one with which it agrees whole; empty for none."""

    anchors: int
    upto: str
    faults: list[str]


def anchor(world: World) -> str:
    """Put an anchor of the ledger as it is now; its key, empty when no chain has begun. Reads the ledger only."""
    with world.ledger.look() as tx:
        found = heads(tx.connection)
        now = world.clock.now().astimezone(UTC)
    if not found:
        return ""
    last = max(world.store.keys(PREFIX), default="")
    body = {
        "anchored_at": now.isoformat(timespec="microseconds"),
        "chains": len(found),
        "sha256": _list_sha256(found),
        "previous": {"key": last, "sha256": _sha256(world.store.get(last)) if last else ""},
        "heads": {chain: [seq, digest] for chain, seq, digest in found},
    }
    signature = sign(canonical_json(body).encode(), world.secrets, world.configuration.audit)
    return world.store.put(key_at(now), canonical_json({"anchor": body, "signature": signature}).encode()).key


def key_at(time: datetime) -> str:
    """By a time in UTC: keys in order are anchors in order."""
    return f"{PREFIX}{time:%Y-%m-%dT%H%M%S.%f}Z.json"


def anchor_when_due(world: World) -> None:
    """Once a day of the real clock: the days of a demonstration pass in seconds. A failure is logged, and tried again."""
    if world.configuration.clock.start is not None:
        return
    now = world.clock.now()
    with world.ledger.look() as tx:
        last = last_fired(tx, FIRING)
    if last is not None and now < last + EVERY:
        return
    try:
        key = anchor(world)
    except TieoutError as error:
        log.error("the audit log could not be anchored: %s. %s", error, error.next_step)  # noqa: TRY400  (said in words)
        return
    with world.ledger.begin() as tx:
        mark_fired(tx, FIRING, now)
    if key:
        log.info("the audit log is anchored in %s", key)


def anchors(store: ObjectStore, believed: frozenset[str]) -> list[Anchor]:
    """All of them, the oldest first. With `believed` public keys only what one of them signed proves anything."""
    found: list[Anchor] = []
    known: dict[str, str] = {}
    for key in store.keys(PREFIX):
        content = store.get(key)
        known[key] = _sha256(content)
        was_signed = any(each.signer for each in found)
        found.append(_read(key, content, known, believed, was_signed=was_signed))
    return found


def compare(found: list[Anchor], records: Iterable[AuditRecord], *, signed_only: bool) -> Proof:
    """Whether the ledger still holds every record that an anchor names; one pass over its records."""
    wanted = frozenset[Head]().union(*(each.heads for each in found))
    kept = {head for each in records if (head := (each.chain, each.seq, each.hash)) in wanted}
    upto, faults, told = "", [f"{each.key}: {each.fault}" for each in found if each.fault], set[Head]()
    for each in found:
        gone = each.heads - kept
        for chain, seq, digest in sorted(gone - told):
            told.add((chain, seq, digest))
            faults.append(f"{chain}: record {seq} is missing or another one than was anchored in {each.key}")
        if not gone and not each.fault and (each.signer or not signed_only):
            upto = each.key
    return Proof(len(found), upto, faults)


def _read(key: str, content: bytes, known: Mapping[str, str], believed: frozenset[str], *, was_signed: bool) -> Anchor:
    digest = known[key]
    try:
        whole = json.loads(content)
        body, signature = whole["anchor"], whole["signature"]
        listed = [(chain, int(seq), str(head)) for chain, (seq, head) in body["heads"].items()]
        is_whole = body["sha256"] == _list_sha256(listed) and body["chains"] == len(listed)
        before = dict(body["previous"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return Anchor(key, digest, frozenset(), fault="it is no anchor")
    signer, fault = "", "" if is_whole else "its list is not the one that it states"
    if believed and signature is not None:
        signer = str(signature.get("public_key", ""))
        if signer not in believed or not is_signed(canonical_json(body).encode(), signature):
            signer, fault = "", fault or "it is not signed by a key that is believed"
    elif believed and was_signed:
        fault = fault or "it is not signed, though earlier ones are"
    if before["key"] and known.get(before["key"]) != before["sha256"]:
        fault = fault or f"the anchor before it, {before['key']}, is missing or changed"
    return Anchor(key, digest, frozenset(listed) if is_whole else frozenset(), signer, fault)


def _list_sha256(found: Iterable[Head]) -> str:
    return _sha256("".join(f"{chain}\t{seq}\t{digest}\n" for chain, seq, digest in sorted(found)).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
