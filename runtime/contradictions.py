"""Finds values of the configuration that are well-formed and wrong all the same: names nobody has, times without zone, two ways at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from posixpath import normpath
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from curation.our_columns import MATCHED_COLUMNS, OUR_COLUMNS, TEXT_COLUMNS
from formats.layout_rules import layout_problems
from payments.config import AcquirerSection, Configuration, Curation, SourceSection
from payments.config_drops import BucketDrop
from payments.config_files import AfterRename
from payments.errors import WrongConfiguration
from payments.keys import safe_name
from runtime.contradictions_results import result_contradictions
from runtime.contradictions_secrets import NOT_SHOWN
from runtime.contradictions_secrets import secret_contradictions as _secret
from runtime.contradictions_sftp import sftp_contradictions
from runtime.contradictions_windows import window_contradictions
from transfer.file_names import ALLOWED, file_name

Contradiction = tuple[str, object, str]
"""(the key's path, what was found, what is allowed)."""

FOLDER = re.compile(r"(?!\.{1,2}(/|$))[^/\\\0]+(/(?!\.{1,2}(/|$))[^/\\\0]+)*")
BUCKET_URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^?#\s]*)?")
SHA256 = re.compile(r"[0-9a-f]{64}")
MONEY_KEY = re.compile(r"[A-Z]{3}(/(CRDT|DBIT))?")
COMPANION_NAME_MAX = 60
NEEDED = ("amount", "currency", "direction", "requested_date")


def contradictions(configuration: Configuration) -> list[Contradiction]:
    """Everything found, in the order of the file's sections; empty when nothing is wrong."""
    found = [*_service(configuration), *_names("source", configuration.source)]
    for number, source in enumerate(configuration.source):
        found += [(f"source[{number}].{key}", value, allowed) for key, value, allowed in _source(source)]
    found += _names("acquirer", configuration.acquirer)
    for number, acquirer in enumerate(configuration.acquirer):
        found += [(f"acquirer[{number}].{key}", value, allowed) for key, value, allowed in _acquirer(acquirer)]
    return [*found, *_curation(configuration)]


def _service(configuration: Configuration) -> Iterator[Contradiction]:
    ledger, queue, clock = configuration.ledger, configuration.queue, configuration.clock
    if not re.match(r"sqlite:.|postgresql:.", ledger.url):
        scheme = ledger.url.partition(":")[0][:20]
        yield "ledger.url", scheme, "sqlite:FILE and postgresql://user@host:port/database"
    yield from _secret("ledger.password", ledger.password)
    yield from _secret("audit.sign_with", configuration.audit.sign_with)
    if ledger.iam and (ledger.password or not ledger.url.startswith("postgresql:")):
        yield (
            "ledger.iam",
            "true",
            "true only for a postgresql: ledger without `password`: the password is made for each log-in",
        )
    if clock.start is not None and ledger.connections_max < 2:
        yield (
            "ledger.connections_max",
            ledger.connections_max,
            "2 or more with a virtual clock, which asks the ledger for the time",
        )
    if queue.url != "ledger:" and not re.fullmatch(r"sqs:[a-z0-9-]*", queue.url):
        yield "queue.url", queue.url, "ledger: and sqs:REGION"
    for name, at in (("start", clock.start), ("end", clock.end)):
        if at is not None and at.tzinfo is None:
            yield f"clock.{name}", at.isoformat(), "a time with zone, like 2026-03-02T06:00:00Z"
    if clock.start is None and (clock.end is not None or clock.peer):
        yield "clock", "end or peer without start", "start, which makes the clock virtual"
    if _ends_too_soon(clock.start, clock.end):
        yield "clock.end", clock.end.isoformat() if clock.end else "", "a time behind clock.start"


def _ends_too_soon(start: datetime | None, end: datetime | None) -> bool:
    if start is None or end is None or start.tzinfo is None or end.tzinfo is None:
        return False
    return end <= start


def _names(section: str, members: Sequence[SourceSection | AcquirerSection]) -> Iterator[Contradiction]:
    names = [each.name for each in members]
    for number, each in enumerate(members):
        if each.name in names[:number]:
            yield f"{section}[{number}].name", each.name, "a name that no other has"
        if not is_zone(each.zone):
            yield f"{section}[{number}].zone", each.zone, "a zone of the IANA database, like Europe/Berlin"


def _source(source: SourceSection) -> Iterator[Contradiction]:
    if not re.match(r"sqlite:.|(postgresql|postgres):.", source.url):
        yield "url", source.url.partition(":")[0][:20], "sqlite:FILE and postgresql://user@host:port/database"
    for part in ("columns", "values", "constants"):
        for name in sorted(set(getattr(source, part)) - OUR_COLUMNS):
            yield f"{part}.{name[:60]}", "a name that is no column of ours", ", ".join(sorted(OUR_COLUMNS))
    given = {*source.columns, *source.constants, *(["direction"] if source.sign != "none" else [])}
    missing = [name for name in NEEDED if name not in given]
    if missing:
        yield "columns", sorted(source.columns), f"columns or constants for {', '.join(missing)}"
    if source.schedule.at and source.schedule.every_s:
        yield "schedule", "at and every_s", "one of them"
    yield from _secret("password", source.password)


def _acquirer(acquirer: AcquirerSection) -> Iterator[Contradiction]:
    try:
        file_name(acquirer, date(2026, 3, 2), acquirer.sequence_first, 1)
    except WrongConfiguration:
        yield "file_name", acquirer.file_name[:200], ALLOWED
    if acquirer.after_rename is not None:
        yield from _after_rename(acquirer.after_rename)
    yield from _way(acquirer)
    yield from window_contradictions(acquirer)
    yield from layout_problems(acquirer)
    yield from _pgp(acquirer)
    yield from result_contradictions(acquirer.results)
    for key in acquirer.limits.amount_minor:
        if not MONEY_KEY.fullmatch(key):
            # Under a key that no sum has, the limit would hold nothing.
            yield "limits.amount_minor", key, "a currency, or currency and direction: EUR, EUR/CRDT, EUR/DBIT"


def _folders(acquirer: AcquirerSection, way: str) -> Iterator[Contradiction]:
    """Our own files would be collected, and put away, as if they were results."""
    drop, archive = acquirer.drop, acquirer.results.archive
    inbox, outbox = normpath(drop.inbox), normpath(drop.outbox)
    if inbox == outbox:
        yield f"{way}.outbox", drop.outbox[:200], "another folder than the inbox"
    if archive and normpath(archive) in {inbox, outbox}:
        yield "results.archive", archive[:200], "another folder than inbox and outbox"


def _after_rename(after: AfterRename) -> Iterator[Contradiction]:
    if after.name and (
        after.name.count("{name}") != 1
        or after.name == "{name}"
        or safe_name(after.name_for("x")) != after.name_for("x")
    ):
        allowed = "{name} once, and letters, digits, '.', '-' and '_' beside it, like {name}.done"
        yield "after_rename.name", after.name[:200], allowed
    if len(after.name) > COMPANION_NAME_MAX:
        yield "after_rename.name", after.name[:200], f"at most {COMPANION_NAME_MAX} characters"


def _way(acquirer: AcquirerSection) -> Iterator[Contradiction]:
    """Files go one way: two at once could place one twice."""
    sftp, directory, bucket = acquirer.sftp, acquirer.directory, acquirer.s3
    ways = [name for name, given in (("sftp", sftp), ("directory", directory), ("s3", bucket)) if given is not None]
    if len(ways) != 1:
        yield "sftp", " and ".join(ways) or "no way to the acquirer", "exactly one of sftp, directory and s3"
        return
    if sftp is None and acquirer.verify == "hash_extension":
        yield "verify", acquirer.verify, "size and read_back, where files do not go by SFTP"
    if sftp is not None:
        yield from sftp_contradictions(sftp)
    if directory is not None and not directory.path.startswith("/"):
        yield "directory.path", directory.path[:200], "an absolute path, where the share is mounted"
    if bucket is not None:
        yield from _bucket(bucket)
    if directory is not None and acquirer.verify == "hash_extension":
        yield "verify", acquirer.verify, "size, read_back: a directory has no hash extension"
    if bucket is not None and acquirer.verify not in {"size", "strongest"}:
        # Before the put there is nothing to read back, and a receipt must not claim it.
        yield "verify", acquirer.verify, "size: a bucket compares a checksum itself when it takes the file"
    for key in ("inbox", "outbox", "archive"):
        value = getattr(acquirer.drop, key)
        if sftp is None and not (FOLDER.fullmatch(value) or (value == "" and key == "archive")):
            yield f"{ways[0]}.{key}", value[:200], "a folder below the way's own root, like inbox or from/tieout"
    yield from _folders(acquirer, ways[0])


def _bucket(bucket: BucketDrop) -> Iterator[Contradiction]:
    if not BUCKET_URL.fullmatch(bucket.url):
        yield "s3.url", bucket.url.partition(":")[0][:20], "s3://bucket/prefix"
    if bool(bucket.access_key) != bool(bucket.secret_key):
        yield "s3", "one of access_key and secret_key", "both, or none"
    yield from _secret("s3.access_key", bucket.access_key)
    yield from _secret("s3.secret_key", bucket.secret_key)


def _pgp(acquirer: AcquirerSection) -> Iterator[Contradiction]:
    pgp = acquirer.encode.pgp
    for reference in pgp.secrets if pgp else ():
        yield from _secret("encode.pgp", reference)
    if pgp and pgp.passphrase and not pgp.sign_key:
        yield "encode.pgp.passphrase", NOT_SHOWN, "only the passphrase of a sign_key"


def _curation(configuration: Configuration) -> Iterator[Contradiction]:
    curation: Curation = configuration.curation
    acquirers = sorted(each.name for each in configuration.acquirer)
    sources = sorted(each.name for each in configuration.source)
    for number, route in enumerate(curation.route):
        if route.acquirer not in acquirers:
            yield f"curation.route[{number}].acquirer", route.acquirer, _configured("acquirer", acquirers)
        for name in route.source:
            if name not in sources:
                yield f"curation.route[{number}].source", name, _configured("source", sources)
    for name in curation.required:
        if name not in TEXT_COLUMNS:
            yield "curation.required", name, f"{', '.join(TEXT_COLUMNS)}; the other columns are always required"
    table = curation.reference_table
    if table is not None and table.match not in MATCHED_COLUMNS:
        yield "curation.reference_table.match", table.match, ", ".join(MATCHED_COLUMNS)
    if table is not None and table.sha256 and not SHA256.fullmatch(table.sha256):
        yield "curation.reference_table.sha256", table.sha256, "64 hexadecimal digits, in small letters"


def _configured(section: str, names: list[str]) -> str:
    return f"a configured {section}: {', '.join(names) or 'none is'}"


def is_zone(name: str) -> bool:
    """Whether the IANA database has this zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return name != ""
