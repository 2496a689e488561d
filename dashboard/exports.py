"""What an export is: a list of mismatches as CSV, for one person, of one state of the ledger; its message, its place, its making.

    a person asks the page:  small enough ---> the answer itself
                             else a message -> export -> an object under exports/ -> a link for minutes

The page writes nothing: the message is all that it may send. The same list of the same state for the same person has the
same place, so whoever asks twice gets one object.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dashboard.filters import Filters, WrongFilter
from payments.errors import NotAllowed, SetAside
from payments.records import Mismatch
from reconciliation.mismatch_csv import header, lines
from runtime.wakes import EXPORT, SOURCE

if TYPE_CHECKING:
    from runtime.ledger.ledger import SqlTransaction
    from runtime.wiring import World

log = logging.getLogger(__name__)

QUEUE = "export"
STORE = "exports"
CHAIN = "exports"
"""The audit chain of who took which list away."""
ROWS_MAX = 1_000_000
PAGE_ROWS = 1_000
FILES_KNOWN_MAX = 10_000
MESSAGE_BYTES_MAX = 8_000
OWNER_MAX = 200
NOBODY = "unverified"
"""Whoever asks a page that asks nobody who they are."""


class _Detail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    filters: dict[str, str]
    owner: str
    state: str


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    source: str
    kind: str = msgspec.field(name="detail-type")
    detail: _Detail


@dataclass(frozen=True, slots=True)
class Export:
    """`owner` is whose it is, as the sign-in service calls them; `state` stands for what the ledger said when it was asked for."""

    filters: Filters
    owner: str
    state: str

    @classmethod
    def of(cls, tx: SqlTransaction, filters: Filters, owner: str) -> Export:
        where = filters.where
        newest = tx.mismatches.find(order="-updated_at", limit=1, **where)
        changed = newest[0].updated_at.isoformat() if newest else ""
        return cls(replace(filters, after=""), owner, f"{tx.mismatches.count(**where)} {changed}")

    @classmethod
    def read(cls, body: str) -> Export:
        """From a message. Raises SetAside for anything that the page would not send."""
        try:
            if len(body) > MESSAGE_BYTES_MAX:
                raise SetAside("a message that asks for an export is too long")
            found = msgspec.json.decode(body.encode(), type=_Message)
            filters = Filters(**found.detail.filters)
        except (msgspec.MsgspecError, UnicodeError, WrongFilter, TypeError, RecursionError) as error:
            raise SetAside("a message asks for no export that there is") from error
        export = cls(filters, found.detail.owner, found.detail.state)
        is_ours = (found.source, found.kind, found.id) == (SOURCE, EXPORT, export.number)
        if not is_ours or filters.after or not 0 < len(export.owner) <= OWNER_MAX:
            raise SetAside("a message asks for no export that there is")
        return export

    @property
    def message(self) -> str:
        envelope = {"id": self.number, "source": SOURCE, "detail-type": EXPORT, "detail": asdict(self)}
        return json.dumps(envelope, sort_keys=True)

    @property
    def number(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]

    @property
    def key(self) -> str:
        return key_of(self.owner, self.number)


def key_of(owner: str, number: str) -> str:
    """Where an export of this person lies: nobody who asks for their own can name another's."""
    whose = hashlib.sha256(owner.encode("utf-8", "backslashreplace")).hexdigest()[:32]
    return f"{STORE}/{whose}/mismatches-{number}.csv"


def pieces(tx: SqlTransaction, filters: Filters) -> Generator[bytes]:
    """The list as CSV, one thousand mismatches at a time. Raises NotAllowed beyond `ROWS_MAX`."""
    yield header()
    files: dict[str, str] = {"": ""}
    count = 0
    with closing(tx.mismatches.each(order="id", **filters.where)) as rows:
        while page := list(islice(rows, PAGE_ROWS)):
            count += len(page)
            if count > ROWS_MAX:
                raise NotAllowed(f"an export holds at most {ROWS_MAX:,} mismatches", next_step="Narrow the filters.")
            yield lines((each, _name_of_file(tx, files, each)) for each in page)


def up_to(bytes_max: int, parts: Iterable[bytes]) -> bytes | None:
    """All of it; None when it is more."""
    found = bytearray()
    for part in parts:
        found += part
        if len(found) > bytes_max:
            return None
    return bytes(found)


def make(world: World, export: Export) -> None:
    """Store the object, unless it is there. The audit log knows first: nothing can be fetched that it does not know."""
    if world.store.exists(export.key):
        return
    with tempfile.TemporaryDirectory(prefix="tieout-export-", dir=world.spool) as folder:
        path = Path(folder) / "list"
        with world.ledger.look() as tx, path.open("wb") as file:
            file.writelines(pieces(tx, export.filters))
        body = {"filters": given(export.filters), "number": export.number, "size": path.stat().st_size}
        with world.ledger.begin() as tx:
            tx.audit.append(CHAIN, "exported", body, actor=export.owner)
        world.store.put_file(export.key, path)
    log.info("exported: %s, %s bytes", export.key, body["size"])


def given(filters: Filters) -> dict[str, Any]:
    """Those filters that filter something."""
    return {name: value for name, value in asdict(filters).items() if value}


def _name_of_file(tx: SqlTransaction, known: dict[str, str], mismatch: Mismatch) -> str:
    if mismatch.file_id not in known:
        if len(known) > FILES_KNOWN_MAX:
            known.clear()
        file = tx.files.get(mismatch.file_id)
        known[mismatch.file_id] = file.name if file is not None else mismatch.file_id
    return known[mismatch.file_id]
