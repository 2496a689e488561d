"""The oracle of every rehearsal: compares what the ledger says with what the acquirer really has, and names each contradiction.

delivered             exactly one complete file, equal hash, a receipt that says so
in doubt              at most one, no receipt, and the reason stands in the ledger
sealed, waiting       none, no receipt, and the reason stands in the ledger once it was tried
marker, checksum      at most one beside a delivered file, exactly one once it is called placed, none beside any other
always                nothing is offered in part, nothing twice, and the source object is kept
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from local.hostile_acquirer import HostileAcquirer
from local.hostile_watch import Content
from payments.companions import Companion, content_of
from payments.errors import TieoutError
from payments.hashing import sha256_of
from payments.keys import outbound_key
from payments.ports import ObjectStore, Transaction
from payments.records import Attempt, OutboundFile, Receipt
from payments.states import IN_ACQUIRERS_HANDS, FileState

AT_THE_ACQUIRER = IN_ACQUIRERS_HANDS | {FileState.REFUSED}


@dataclass(frozen=True, slots=True)
class Told:
    """What the ledger and the store say of one file. `kept` is the hash of the stored object, empty when it is gone."""

    file: OutboundFile
    attempts: tuple[Attempt, ...]
    receipt: Receipt | None
    kept: str
    beside: Companion | None = None


def contradictions(tx: Transaction, store: ObjectStore, acquirer: str, server: HostileAcquirer) -> list[str]:
    """Everything that the books of one acquirer claim and its hands deny; empty when the delivery told the truth."""
    files = tx.files.find(acquirer=acquirer)
    told = [
        Told(
            file,
            tuple(tx.attempts.find(file_id=file.file_id, order="attempt")),
            tx.receipts.get(file.file_id),
            _kept(store, file),
            tx.companions.get(file.file_id),
        )
        for file in files
    ]
    return compare(told, server.hands(), server.contents())


def compare(told: Iterable[Told], hands: list[tuple[str, Content]], contents: Mapping[str, list[Content]]) -> list[str]:
    """As `contradictions`, on values: `hands` is every file that the acquirer has, `contents` all it ever saw by name."""
    found: list[str] = []
    known: dict[str, set[str]] = {}
    for each in told:
        known.setdefault(each.file.name, set()).add(each.file.sha256)
        copies = [content for name, content in hands if name == each.file.name and content.sha256 == each.file.sha256]
        found += [f"{each.file.name}: {fault}" for fault in _faults(each, len(copies))]
        if each.beside is not None:
            wanted = hashlib.sha256(content_of(each.beside, each.file)).hexdigest()
            known.setdefault(each.beside.name, set()).add(wanted)
            beside = [content for name, content in hands if name == each.beside.name and content.sha256 == wanted]
            found += [f"{each.beside.name}: {fault}" for fault in _faults_beside(each.beside, len(beside))]
    for name, seen in contents.items():
        strange = sum(content.sha256 not in known.get(name, set()) for content in seen)
        if strange:
            found.append(f"{name}: the acquirer saw {strange} contents that the ledger does not know")
    return found


def _faults_beside(beside: Companion, copies: int) -> list[str]:
    if copies > 1:
        return [f"the acquirer has it {copies} times"]
    return [f"{beside.state}, and the acquirer does not have it"] if beside.state == "placed" and not copies else []


def _faults(told: Told, copies: int) -> list[str]:
    file, receipt = told.file, told.receipt
    faults = []
    if copies > 1:
        faults.append(f"the acquirer has it {copies} times")
    if told.kept != file.sha256:
        faults.append("the source object is not what was sealed")
    if file.state in AT_THE_ACQUIRER:
        if copies == 0:
            faults.append(f"{file.state}, and the acquirer does not have it")
        if receipt is None or (receipt.sha256, receipt.size) != (file.sha256, file.size) or not receipt.verified_by:
            faults.append(f"{file.state} without a receipt that proves it")
        return faults
    if receipt is not None:
        faults.append(f"{file.state}, and yet it has a receipt")
    if file.state == FileState.IN_DOUBT:
        if not file.note:
            faults.append("in doubt, and nothing says why")
        return faults
    if copies and not _unsettled(told):
        faults.append(f"{file.state}, and the acquirer has it")
    if file.attempts and not (file.note or file.held or _taken_over(told)):
        faults.append(f"{file.state} after {file.attempts} tries, and nothing says why")
    return faults


def _unsettled(told: Told) -> bool:
    """Between intention and verdict nobody claims anything: the file is neither delivered nor sealed again."""
    return told.file.state == FileState.DELIVERING and any(each.state == "rename_intended" for each in told.attempts)


def _taken_over(told: Told) -> bool:
    """Its worker died and another one cleared up: nobody refused anything, and it goes on."""
    return bool(told.attempts) and told.attempts[-1].state == "revoked"


def _kept(store: ObjectStore, file: OutboundFile) -> str:
    key = outbound_key(file.acquirer, file.business_date, file.file_id, file.name)
    try:
        with store.local(key) as path:
            return sha256_of(path)
    except (TieoutError, OSError):
        return ""
