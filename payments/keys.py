"""Identity and object keys: decided once, because everything stored depends on them (design sections 2 and 4)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from payments.errors import SetAside

SEPARATOR = "\x1f"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""What a source, an acquirer or a window may be called: it becomes part of keys."""


def _hash(parts: Iterable[str], size: int) -> str:
    # Length first: no two different lists of parts give the same bytes.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def payment_id(source: str, table: str, primary_key: str) -> str:
    """32 hex digits for (source, table, primary key); versions of one payment share it."""
    return _hash((source, table, primary_key), 16)


def payment_ids(source: str, table: str, primary_keys: Iterable[str]) -> list[str]:
    """The same for many rows at a time; equal to `payment_id` for each."""
    head = hashlib.blake2b(
        f"{len(source)}:{source}{len(table)}:{table}".encode("utf-8", "surrogatepass"), digest_size=16
    )
    found = []
    for key in primary_keys:
        each = head.copy()
        each.update(f"{len(key)}:{key}".encode("utf-8", "surrogatepass"))
        found.append(each.hexdigest())
    return found


def derived_reference(identity: str) -> str:
    """A payment reference of 27 characters from a payment_id, for sources without a reference column."""
    return f"T{identity[:26].upper()}"


def file_id(acquirer: str, business_date: date, window: str, split: int, generation: int) -> str:
    """24 hex digits for (acquirer, business date, window, split ordinal, generation)."""
    return _hash((acquirer, business_date.isoformat(), window, str(split), str(generation)), 12)


def mismatch_id(*parts: str) -> str:
    """16 hex digits; the parts never hold the kind, so that a mismatch keeps its id when its kind changes."""
    return _hash(parts, 8)


def decision_id(subject: str, act: str, revision: int, actor: str) -> str:
    """32 hex digits: one person decides one act on one state of a subject once."""
    return _hash((subject, act, str(revision), actor), 16)


@dataclass(frozen=True, slots=True)
class ChunkKey:
    """The suffix that raw, curated and quarantine share for one chunk."""

    source: str
    business_date: date
    run: int
    chunk: int

    @property
    def suffix(self) -> str:
        return f"{self.source}/{self.business_date}/{self.run:06d}/{self.chunk:05d}.parquet"

    @property
    def raw(self) -> str:
        return f"raw/{self.suffix}"

    @property
    def curated(self) -> str:
        return f"curated/{self.suffix}"

    @property
    def quarantine(self) -> str:
        return f"quarantine/{self.suffix}"

    @classmethod
    def parse(cls, key: str) -> ChunkKey:
        """From any of the three keys. Raises SetAside for a key that is not a chunk's."""
        parts = key.split("/")
        try:
            _, source, day, run, chunk = parts
            return cls(source, date.fromisoformat(day), int(run), int(chunk.removesuffix(".parquet")))
        except ValueError as error:
            raise SetAside(
                f"object {key!a} is not a chunk: its key is not store/source/date/run/chunk.parquet"
            ) from error


def manifest_key(source: str, business_date: date, run: int) -> str:
    """The last object of a run in raw."""
    return f"raw/{source}/{business_date}/{run:06d}/manifest.json"


def complete_key(source: str, business_date: date, run: int) -> str:
    """The object that says: every chunk of this run is curated."""
    return f"curated/{source}/{business_date}/{run:06d}/complete.json"


def expected_key(acquirer: str, business_date: date, file: str) -> str:
    return f"expected/{acquirer}/{business_date}/{file}.parquet"


def file_manifest_key(acquirer: str, business_date: date, file: str) -> str:
    return f"manifests/{acquirer}/{business_date}/{file}.json"


def outbound_key(acquirer: str, business_date: date, file: str, name: str) -> str:
    return f"outbound/{acquirer}/{business_date}/{file}/{name}"


def result_key(acquirer: str, business_date: date, sha256: str, name: str) -> str:
    """Under results; the name is reduced to harmless characters, the ledger keeps the true one."""
    return f"results/{acquirer}/{business_date}/{sha256}/{safe_name(name)}"


def reported_key(acquirer: str, business_date: date, sha256: str) -> str:
    return f"reported/{acquirer}/{business_date}/{sha256}.parquet"


def set_aside_key(acquirer: str, business_date: date, sha256: str) -> str:
    """The empty object of a result file that is not used: its other key stays free until it can be."""
    return f"reported/{acquirer}/{business_date}/{sha256}.aside.parquet"


def matched_key(acquirer: str, business_date: date, file: str, events: str) -> str:
    """`events` is the hash of the set of result files that were folded: same set, same bytes."""
    return f"matched/{acquirer}/{business_date}/{file}/{events}.parquet"


def open_key(acquirer: str, business_date: date, file: str, events: str) -> str:
    return f"open/{acquirer}/{business_date}/{file}/{events}.parquet"


def index_key(assembly: int) -> str:
    """Outcomes of one assembly, sorted by payment_id: the index of assignments is all of these segments."""
    return f"index/{assembly:08d}.parquet"


def pool_key(assembly: int) -> str:
    """The pool of unassigned rows after one assembly."""
    return f"pool/{assembly:08d}.parquet"


def safe_name(name: str) -> str:
    """Letters, digits, dot, dash and underscore, at most 100 characters, never starting with a dot."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:100] or "_"


def run_chain(source: str, run: int) -> str:
    """The audit chain of a run."""
    return f"run:{source}:{run:06d}"


def file_chain(file: str) -> str:
    """The audit chain of a file."""
    return f"file:{file}"


def day_chain(acquirer: str, business_date: date) -> str:
    """The audit chain of an acquirer's day."""
    return f"day:{acquirer}:{business_date}"
