"""The topology: which event starts which handler, and what that handler may touch. Plain data, standard library only.

The local router follows it in process; `cdk` loops over it: rule, queue, dead-letter queue, function, role, layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Layer = Literal["base", "arrow", "match", "sftp", "sources", "web"]
"""One set of locked dependencies: `make bundle` makes a Lambda layer of each."""

SHORT_S_MAX = 300
SHORT_FACTOR = 6
RECEIVES_MAX = 5
"""How often a message is received before it is a dead letter. `functions.resting` has a rest for each receive but the last."""


@dataclass(frozen=True)
class Stage:
    """One queue and its handler.

    A stage is started by objects created under `prefix` (ending in one of `suffixes`), by a wake-up that names a
    subject (a source or an acquirer), or by both. `reads` and `writes` are the first parts of the keys it touches in the
    object store; what it writes it may read too, because an object that is already there is hashed. `secrets` are the
    tables of the configuration whose secrets it opens. `at_once_max` bounds how many run at the same time. Objects of the
    stores in `deleted_from` start it when they are deleted, which only a store on AWS tells. `takes_reference_table`: it
    reads the file of `curation.reference_table`. `sends_to_itself`: it asks for its own work once more.
    """

    name: str
    handler: str
    prefix: str = ""
    suffixes: tuple[str, ...] = ()
    batch_size: int = 1
    timeout_s: int = 300
    memory_mb: int = 1024
    at_once_max: int = 2
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ("base", "arrow")
    deleted_from: tuple[str, ...] = ()
    takes_reference_table: bool = False
    sends_to_itself: bool = False

    @property
    def queue(self) -> str:
        return self.name

    @property
    def visibility_s(self) -> int:
        """How long a message that was received stays invisible, unless it is answered or says itself when it comes again.

        Six times the time-out for short functions, as AWS advises. The long ones are woken, not told: the message says
        nothing that tick would not say again a minute later. They get the shortest time that Lambda accepts, their time-out.
        """
        return self.timeout_s * (SHORT_FACTOR if self.timeout_s <= SHORT_S_MAX else 1)

    def is_started_by(self, key: str) -> bool:
        """Whether an object created under `key` starts it."""
        return bool(self.prefix) and key.startswith(self.prefix) and (not self.suffixes or key.endswith(self.suffixes))


@dataclass(frozen=True)
class Beside:
    """A function without a queue. `schedule_s`: how often it is called by itself; 0: only by somebody.

    `at_once_max` bounds how many connections to the ledger it may have at the same time.
    """

    name: str
    handler: str
    schedule_s: int = 0
    timeout_s: int = 60
    memory_mb: int = 512
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    at_once_max: int = 2
    layers: tuple[Layer, ...] = ("base",)


@dataclass(frozen=True)
class Watched:
    """A count of `runtime.measures` that tick publishes every minute, also when it is 0; from 1 on, `alarm` rings."""

    metric: str
    alarm: str
    description: str


WATCHED: tuple[Watched, ...] = (
    Watched(
        "DeliveriesStopped", "deliveries-stopped", "A person stopped all deliveries, and nobody let them go on yet."
    ),
    Watched("RunsStopped", "runs-stopped", "Runs stopped: their books do not tie, or their objects were changed."),
    Watched("FilesInDoubt", "files-in-doubt", "It is not known whether files reached the acquirer."),
    Watched("AtRisk", "at-risk", "Files may miss their window, or a host key ends."),
    Watched("Stuck", "stuck", "Files are held, refused, or left by every task that was started for them."),
    Watched("AnswersOverdue", "answers-overdue", "What was delivered should have been answered by now."),
    Watched(
        "Failing", "failing", "A source or an outbox could not be reached at the last try, or nobody tried in time."
    ),
    Watched("ObjectsGone", "objects-gone", "Stored objects are gone that were still needed, or that no rule took."),
)

BESIDE: tuple[Beside, ...] = (
    # Wakes what is due and sweeps: what the service's loop does on one machine.
    Beside("tick", "functions.tick.handler", schedule_s=60, timeout_s=55),
    # Called by each deployment: brings the ledger's tables and users to what the code needs.
    Beside("migrate", "functions.migrate.handler", timeout_s=300),
    # Puts the ends of the audit chains outside the ledger, which it may only read.
    Beside(
        "anchor",
        "functions.anchor.handler",
        schedule_s=86_400,
        timeout_s=300,
        memory_mb=1024,
        reads=("heads",),
        writes=("heads",),
        secrets=("audit",),
        at_once_max=1,
        layers=("base", "sftp"),
    ),
    Beside(
        "dashboard",
        "functions.dashboard.handler",
        timeout_s=30,
        memory_mb=1024,
        reads=("exports",),
        at_once_max=10,
        layers=("base", "web"),
    ),
)

TOPOLOGY: tuple[Stage, ...] = (
    Stage(
        "extract",
        "functions.extract.handler",
        timeout_s=900,
        memory_mb=2048,
        writes=("raw", "curated"),
        secrets=("source",),
        sends_to_itself=True,
        layers=("base", "arrow", "sources"),
    ),
    Stage(
        "curate",
        "functions.curate.handler",
        prefix="raw/",
        suffixes=(".parquet", "manifest.json"),
        timeout_s=120,
        at_once_max=20,
        reads=("raw",),
        writes=("curated", "quarantine"),
        takes_reference_table=True,
    ),
    Stage(
        "assemble",
        "functions.assemble.handler",
        prefix="curated/",
        suffixes=("complete.json",),
        timeout_s=900,
        memory_mb=2048,
        reads=("curated", "redeliveries"),
        writes=("expected", "manifests", "outbound", "index", "pool"),
        secrets=("acquirer.encode",),
    ),
    Stage(
        "deliver",
        "functions.deliver.handler",
        prefix="outbound/",
        batch_size=10,
        timeout_s=900,
        at_once_max=5,
        # What a file claims is read only where one of its payments may have been settled elsewhere: hardly ever.
        reads=("outbound", "expected"),
        secrets=("acquirer.sftp", "acquirer.s3"),
        layers=("base", "arrow", "sftp"),
    ),
    Stage(
        "collect",
        "functions.collect.handler",
        timeout_s=900,
        at_once_max=5,
        writes=("results",),
        secrets=("acquirer.sftp", "acquirer.s3"),
        layers=("base", "sftp"),
    ),
    Stage(
        "read",
        "functions.read.handler",
        prefix="results/",
        timeout_s=300,
        at_once_max=5,
        reads=("results",),
        writes=("reported",),
        secrets=("acquirer.results",),
    ),
    Stage(
        "reconcile",
        "functions.reconcile.handler",
        prefix="reported/",
        suffixes=(".parquet",),
        batch_size=10,
        timeout_s=900,
        memory_mb=2048,
        at_once_max=5,
        reads=("expected", "redeliveries", "results", "reported"),
        writes=("matched", "open"),
        layers=("base", "arrow", "match"),
    ),
    # Tells the ledger which objects expired, or were deleted though nobody here may delete. It touches no store.
    Stage(
        "expire",
        "functions.expire.handler",
        batch_size=10,
        timeout_s=60,
        memory_mb=512,
        layers=("base",),
        deleted_from=(
            "raw",
            "curated",
            "quarantine",
            "expected",
            "manifests",
            "outbound",
            "index",
            "pool",
            "redeliveries",
            "results",
            "reported",
            "matched",
            "open",
            "heads",
        ),
    ),
    # Writes lists that are too long for an answer of the page; the page alone asks for them, and reads what it may hand out.
    Stage(
        "export",
        "functions.export.handler",
        timeout_s=300,
        writes=("exports",),
        layers=("base",),
    ),
)


def stages_for(key: str) -> tuple[Stage, ...]:
    """The stages that an object created under `key` starts."""
    return tuple(stage for stage in TOPOLOGY if stage.is_started_by(key))


def stage_named(name: str) -> Stage:
    """Raises KeyError."""
    return {stage.name: stage for stage in TOPOLOGY}[name]
