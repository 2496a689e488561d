"""The configuration as values: one frozen record per section of tieout.toml. `runtime.settings` reads the file.

Names, types and defaults here are the contract that docs/settings.md describes. A list or table without default is required.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, field

from payments.config_audit import Audit
from payments.config_base import Currency, Direction, Name, NotNegative, Positive, Section, TimeOfDay
from payments.config_drops import BucketDrop, DirectoryDrop, Jump, Login
from payments.config_files import AfterRename, DelimitedColumns, Encode, FixedWidth, Format, Layout, Split
from payments.config_results import Results
from payments.config_task import DeliveryTask
from payments.config_windows import Calendar, Window
from payments.errors import WrongConfiguration


class Stores(Section, frozen=True, kw_only=True):
    """Where objects live: `file:DIR` or `s3://bucket/prefix`; `by_store` puts single stores elsewhere."""

    root: str = "file:store"
    by_store: dict[str, str] = field(default_factory=dict)
    s3_endpoint: str = ""


class LedgerSection(Section, frozen=True, kw_only=True):
    """`sqlite:FILE` or `postgresql://user@host:port/database`; the password by reference, or with `iam` made for each log-in."""

    url: str = "sqlite:ledger.db"
    password: str = ""
    iam: bool = False
    connections_max: Annotated[int, Meta(ge=1, le=100)] = 4


class QueueSection(Section, frozen=True, kw_only=True):
    """`ledger:` (a table in the ledger) or `sqs:REGION`."""

    url: str = "ledger:"
    endpoint: str = ""
    prefix: str = "tieout-"


class Service(Section, frozen=True, kw_only=True):
    """The service on one machine."""

    workers: Annotated[int, Meta(ge=1, le=64)] = 2
    receives_max: Annotated[int, Meta(ge=1, le=1000)] = 5
    extract_by: Literal["service", "scheduler"] = "service"
    deliver_in_function_bytes_max: NotNegative = 1_000_000_000
    delivery_task: DeliveryTask | None = None
    sweep_every_s: Positive = 60


class ClockSection(Section, frozen=True, kw_only=True):
    """`start` makes the clock virtual; `peer` is a file in which an acquirer that runs apart answers the clock."""

    start: datetime | None = None
    end: datetime | None = None
    peer: str = ""


class DashboardSection(Section, frozen=True, kw_only=True):
    """The page. `port` 0 takes a free one."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8470


class Schedule(Section, frozen=True, kw_only=True):
    """When a source is read: at times of its own day, or every so many seconds; neither: by command only."""

    at: list[TimeOfDay] = field(default_factory=list)
    every_s: NotNegative = 0


class Stopped(Section, frozen=True, kw_only=True):
    """Rows whose `column` holds one of `values` were stopped or deleted by the source."""

    column: str
    values: list[str]


class SourceSection(Section, frozen=True, kw_only=True):
    """A legacy system. `columns` maps our names to its columns, `values` its codes to ours, per column of ours.

    `history`: its table keeps several rows, the versions, of one payment. Without it a key that repeats is a wrong key.
    """

    name: Name
    url: str
    table: str
    primary_key: Annotated[list[str], Meta(min_length=1, max_length=8)]
    watermark: str
    watermark_type: Literal["timestamp", "epoch_ms", "integer"] = "timestamp"
    zone: str = "UTC"
    columns: dict[str, str]
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    date_format: str = "%Y-%m-%d"
    amount_in: Literal["major", "minor"] = "major"
    sign: Literal["none", "negative_is_debit", "negative_is_credit"] = "none"
    password: str = ""
    stopped: Stopped | None = None
    history: bool = False
    schedule: Schedule = field(default_factory=Schedule)
    rows_per_chunk_max: Annotated[int, Meta(ge=1, le=200_000)] = 50_000
    timeout_s: Positive = 30


class Route(Section, frozen=True, kw_only=True):
    """The first route whose every condition holds chooses the acquirer. No condition: it takes all."""

    acquirer: Name
    source: list[str] = field(default_factory=list)
    currency: list[Currency] = field(default_factory=list)
    direction: list[Direction] = field(default_factory=list)
    creditor_country: list[str] = field(default_factory=list)


class ReferenceTable(Section, frozen=True, kw_only=True):
    """A CSV file with a header, joined to each payment: `match` is our column, `key` and `take` are columns of the file.

    `path` may be s3://bucket/key. `sha256`, of the file's bytes, makes it the only one that is taken.
    """

    path: str
    sha256: str = ""
    key: str
    match: str
    take: str
    required: bool = False


class Curation(Section, frozen=True, kw_only=True):
    """What every payment must satisfy, and where it goes."""

    route: list[Route] = field(default_factory=list)
    reference_table: ReferenceTable | None = None
    required: list[str] = field(default_factory=lambda: ["debtor_account", "creditor_account", "creditor_name"])
    currencies: list[Currency] = field(default_factory=list)
    amount_minor_max: NotNegative = 0
    characters: Literal["sepa", "any"] = "sepa"
    date_past_days_max: NotNegative = 366
    date_ahead_days_max: NotNegative = 366


class Sftp(Login, frozen=True, kw_only=True):
    """The acquirer's SFTP server."""

    inbox: str = "inbox"
    outbox: str = "outbox"
    archive: str = ""
    rename_atomic: bool = False
    files_in_flight: Annotated[int, Meta(ge=1, le=64)] = 32
    bandwidth_limit_mb_s: NotNegative = 0
    proxy: str = ""
    proxy_user: str = ""
    proxy_password: str = ""
    jump: Jump | None = None
    profile_age_days_max: Positive = 365
    require_strict_kex: bool = True
    keepalive_s: Positive = 15
    connect_timeout_s: Positive = 15
    channel_timeout_s: Positive = 30
    slowest_bytes_per_s: NotNegative = 1_000


class Limits(Section, frozen=True, kw_only=True):
    """A file above one of these is held for a second person. 0: no limit."""

    count: NotNegative = 0
    amount_minor: dict[str, int] = field(default_factory=dict)
    multiple_of_usual: NotNegative = 0


class Retry(Section, frozen=True, kw_only=True):
    """Delivery attempts are spread: `first_s`, then `factor` times longer each, at most `longest_s`, at most `attempts`."""

    first_s: Positive = 60
    factor: Annotated[int, Meta(ge=1, le=10)] = 3
    longest_s: Positive = 7200
    attempts: Positive = 12


class AcquirerSection(Section, frozen=True, kw_only=True):
    """The partner that files go to. Four keys have no default, because a wrong guess would call a payment settled."""

    name: Name
    zone: str = "UTC"
    format: Format = "delimited"
    fixed_width: FixedWidth | None = None
    delimited_columns: DelimitedColumns | None = None
    split: Split = field(default_factory=Split)
    encode: Encode = field(default_factory=Encode)
    after_rename: AfterRename | None = None
    file_name: str = "{acquirer}_{business_date:%Y%m%d}_{sequence:06d}_{generation}.csv"
    results_list: Literal["all", "exceptions_only", "successes_only"]
    final_status: Literal["ACTC", "ACCP", "ACSP", "ACSC", "ACCC"]
    complete_when: Literal["trailer", "marker", "deadline"]
    sequence: Literal["strict", "free"]
    sftp: Sftp | None = None
    directory: DirectoryDrop | None = None
    s3: BucketDrop | None = None
    send_ahead_days: NotNegative = 0
    rows_per_file_max: Positive = 100_000
    sequence_first: Positive = 1
    initiating_party: str = "Tieout"
    tolerance_minor: NotNegative = 0
    verify: Literal["size", "read_back", "hash_extension", "strongest"] = "size"
    limits: Limits = field(default_factory=Limits)
    retry: Retry = field(default_factory=Retry)
    results: Results = field(default_factory=Results)
    keys_warn_days: NotNegative = 30
    calendar: Calendar | None = None
    window: list[Window] = field(default_factory=list)

    @property
    def drop(self) -> Sftp | DirectoryDrop | BucketDrop:
        """By which way files go and results come: the one of `sftp`, `directory` and `s3` that is given."""
        for given in (self.sftp, self.directory, self.s3):
            if given is not None:
                return given
        raise WrongConfiguration(f"acquirer {self.name} has neither `sftp` nor `directory` nor `s3`")

    @property
    def secrets(self) -> tuple[str, ...]:
        """References of every secret that opens the way to the acquirer."""
        match self.drop:
            case Sftp(jump=jump, proxy_password=proxy_password) as sftp:
                return (*sftp.secrets, *(jump.secrets if jump else ()), *filter(None, [proxy_password]))
            case BucketDrop(access_key=access_key, secret_key=secret_key):
                return tuple(filter(None, (access_key, secret_key)))
            case _:
                return ()

    @property
    def layout(self) -> Layout | None:
        """The declared layout of `format`; None for a format that needs none."""
        return {"fixed_width": self.fixed_width, "delimited_columns": self.delimited_columns}.get(self.format)

    @property
    def server(self) -> Sftp:
        """The SFTP server, for what only such a server has. Raises WrongConfiguration when files go another way."""
        if self.sftp is None:
            raise WrongConfiguration(f"acquirer {self.name} is not reached by SFTP: it has no host keys and no session")
        return self.sftp


class ReconciliationSection(Section, frozen=True, kw_only=True):
    """`memory_limit_mb` is what matching may use: a quarter of it for the engine, which spills to disk above that."""

    memory_limit_mb: Annotated[int, Meta(ge=128)] = 512


class Configuration(Section, frozen=True, kw_only=True):
    """The whole of tieout.toml."""

    stores: Stores = field(default_factory=Stores)
    ledger: LedgerSection = field(default_factory=LedgerSection)
    queue: QueueSection = field(default_factory=QueueSection)
    service: Service = field(default_factory=Service)
    clock: ClockSection = field(default_factory=ClockSection)
    dashboard: DashboardSection = field(default_factory=DashboardSection)
    curation: Curation = field(default_factory=Curation)
    reconciliation: ReconciliationSection = field(default_factory=ReconciliationSection)
    audit: Audit = field(default_factory=Audit)
    source: list[SourceSection] = field(default_factory=list)
    acquirer: list[AcquirerSection] = field(default_factory=list)

    def source_named(self, name: str) -> SourceSection | None:
        return next((each for each in self.source if each.name == name), None)

    def acquirer_named(self, name: str) -> AcquirerSection | None:
        return next((each for each in self.acquirer if each.name == name), None)
