"""The records of the ledger: frozen values with the same names as the columns that keep them.

`Total` and JSON fields are stored as canonical JSON. Times are aware and UTC. A record with `revision` is changed by
compare-and-set on it; the ledger raises the revision by one with every change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from payments.books import Total


@dataclass(frozen=True, slots=True)
class Run:
    """One extraction of a source. States: open, closed, curated, assembled, stopped (books off), abandoned."""

    source: str
    ordinal: int
    business_date: date
    state: str
    lower: list[Any] | None
    upper: list[Any]
    opened_at: datetime
    config_hash: str
    closed_at: datetime | None = None
    chunks: int = 0
    chunks_open: int = 0
    extracted: Total = field(default_factory=Total)
    curated: Total = field(default_factory=Total)
    quarantined: Total = field(default_factory=Total)
    assembly: int | None = None
    note: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """The bounded slice of a run that one invocation handles. States: opened, stored, curated, stopped."""

    source: str
    run: int
    ordinal: int
    state: str
    lower: list[Any] | None
    upper: list[Any]
    rows: int
    raw_sha256: str = ""
    curated_sha256: str = ""
    quarantine_sha256: str = ""
    extracted: Total = field(default_factory=Total)
    curated: Total = field(default_factory=Total)
    quarantined: Total = field(default_factory=Total)
    note: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Watermark:
    """The position that a source has been read to."""

    source: str
    position: list[Any] | None
    run: int
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Assembly:
    """One fold of completed runs into the pool and into files. States: planned, done."""

    ordinal: int
    state: str
    created_at: datetime
    config_hash: str
    plan: dict[str, Any]
    outcomes: dict[str, Any] = field(default_factory=dict)
    pool: Total = field(default_factory=Total)
    pool_sha256: str = ""
    index_sha256: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Sequence_:  # noqa: N801  (Sequence is a word of the standard library)
    """The next sequence number of an acquirer."""

    name: str
    next_value: int
    revision: int = 0


@dataclass(frozen=True, slots=True)
class OutboundFile:
    """A file we send. `total` is what is in it for ever; `matched`, `mismatched` and `awaiting` are its own outcomes.

    `returned_in` names the assembly that took its rows back into the pool: from then on they count there, no longer here.
    """

    file_id: str
    acquirer: str
    business_date: date
    window: str
    split: int
    generation: int
    sequence: int
    name: str
    format: str
    state: str
    assembly: int
    created_at: datetime
    config_hash: str
    total: Total
    size: int = 0
    sha256: str = ""
    expected_sha256: str = ""
    held: str = ""
    overdue: bool = False
    replaces: str = ""
    returned_in: int | None = None
    attempts: int = 0
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None
    results_due_at: datetime | None = None
    matched: Total = field(default_factory=Total)
    mismatched: Total = field(default_factory=Total)
    awaiting: Total = field(default_factory=Total)
    matched_key: str = ""
    note: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to place a file. States: started, rename_intended, revoked, failed, done, doubtful.

    `error` says how it failed; while its rename is intended, why the acquirer's archive will prove nothing of it.
    """

    file_id: str
    attempt: int
    state: str
    temporary_name: str
    holder: str
    started_at: datetime
    ended_at: datetime | None = None
    error: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """The evidence that a file was placed."""

    file_id: str
    attempt: int
    remote_path: str
    size: int
    sha256: str
    verified_by: str
    host_key: str
    delivered_at: datetime


@dataclass(frozen=True, slots=True)
class Sighting:
    """A name seen in an acquirer's outbox.

    States: seen, fetching, collected, failed, gone, refused; removed, moved (put away there); of a marker: marker,
    complete (every result of a file of ours is there), concluded (reconcile knows).
    """

    acquirer: str
    name: str
    size: int
    modified_s: int
    state: str
    sha256: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class ResultFile:
    """Bytes that an acquirer gave us. States: collected, read, unreadable, duplicate, withdrawn."""

    acquirer: str
    sha256: str
    name: str
    key: str
    business_date: date
    size: int
    collected_at: datetime
    state: str
    lines: int = 0
    control: int = 0
    events: int = 0
    unreadable: int = 0
    reported_sha256: str = ""
    reconciled: bool = False
    note: str = ""
    content_sha256: str = ""  # of what was in its wrapping; empty: it came plain
    number: int | None = None  # of a delimited result file; None also of a plain one that was read before it was kept
    signed_by: str = ""  # fingerprint
    signed_at: datetime | None = None
    disputed: str = ""  # why what it says of our file as a whole is no evidence
    revision: int = 0


@dataclass(frozen=True, slots=True)
class ResultBooks:
    """Where the events of one result file went, for one outbound file (`file_id` empty: for none of ours)."""

    acquirer: str
    sha256: str
    file_id: str
    applied: int = 0
    unknown: int = 0
    duplicate: int = 0
    ambiguous: int = 0
    withdrawn: int = 0
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where ours and theirs disagree. The id is stable while the kind may change. `detail` names the differing fields."""

    id: str
    acquirer: str
    business_date: date
    kind: str
    state: str
    opened_at: datetime
    updated_at: datetime
    file_id: str = ""
    payment_id: str = ""
    reference: str = ""
    result_sha256: str = ""
    expected_minor: int | None = None
    reported_minor: int | None = None
    currency: str = ""
    direction: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    closed_at: datetime | None = None
    assignee: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """An act of a person, or of the service on a person's behalf."""

    id: str
    subject: str
    act: str
    actor: str
    verified: bool
    decided_at: datetime
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StagedKey:
    """A host key that people accept beside the configured ones, from `valid_from` up to, not including, `valid_until`.

    `line` is `type base64`, `fingerprint` its `SHA256:...`. States: proposed, approved, withdrawn.
    """

    acquirer: str
    fingerprint: str
    line: str
    valid_from: datetime
    valid_until: datetime
    state: str
    staged_by: str
    staged_at: datetime
    approved_by: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class AcquirerProfile:
    """What the newest probe found on the acquirer's server; `found` is a transfer.profile.CapabilityProfile as JSON."""

    acquirer: str
    probed_at: datetime
    host_key: str
    found: dict[str, Any]
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Firing:
    """When a schedule last woke somebody: it fires once, also across restarts."""

    name: str
    fired_at: datetime
    revision: int = 0
