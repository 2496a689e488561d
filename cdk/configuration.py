"""Reads from the user's tieout.toml what the infrastructure must know: names, schedules, addresses, and which secrets."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cdk.environment import WrongContext

SECRET = "aws-secret:"  # noqa: S105 - the scheme of a reference
WHOLE = re.compile(r"-[A-Za-z0-9]{6}$")
ELSEWHERE = ("env:", "file:")
DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}
HTTPS = 443
S3 = "s3://"
REFERENCE_BYTES_MAX = 64 << 20
"""More is refused by curation, too."""


@dataclass(frozen=True, kw_only=True)
class Partner:
    """A source or an acquirer: how the network reaches it. `port` 0: it is not reached by a connection of ours."""

    name: str
    host: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Source(Partner):
    """A source with its schedule and the ARNs of its secrets."""

    at: tuple[str, ...]
    every_s: int
    zone: str
    secrets: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReferenceFile:
    """The file of `curation.reference_table`: on this machine, with its hash, or the object `key` of a bucket."""

    path: Path | None = None
    sha256: str = ""
    bucket: str = ""
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What is read of one tieout.toml. `tables` is the file as it stands, for the secrets of single tables."""

    path: Path
    reference: ReferenceFile | None
    sources: tuple[Source, ...]
    acquirers: tuple[Partner, ...]
    tables: dict[str, Any]

    def secrets(self, table: str) -> tuple[str, ...]:
        """ARNs of the secrets under a table such as `source` or `acquirer.results`, each once, in order."""
        found: list[Any] = [self.tables]
        for part in table.split("."):
            lists = (each.get(part, []) for each in found if isinstance(each, dict))
            found = [each for one in lists for each in (one if isinstance(one, list) else [one])]
        return tuple(sorted({arn for each in found for arn in _arns(each, table)}))


def read_configuration(path: Path) -> Configuration:
    """Raises WrongContext. Whether the file is right in itself is checked by `tieout config check`, not here."""
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WrongContext(f"{path}: cannot be read as TOML; give -c config=FILE") from error
    sources = tuple(_source(each) for each in tables.get("source", []))
    acquirers = tuple(_acquirer(each) for each in tables.get("acquirer", []))
    reference = _reference(tables.get("curation", {}).get("reference_table"), path.parent)
    return Configuration(path=path, reference=reference, sources=sources, acquirers=acquirers, tables=tables)


def _reference(table: dict[str, Any] | None, folder: Path) -> ReferenceFile | None:
    if table is None:
        return None
    named = str(table.get("path", ""))
    if named.startswith(S3):
        bucket, _, key = named.removeprefix(S3).partition("/")
        if not bucket or not key:
            raise WrongContext(f"curation.reference_table.path: {named!a} names no object; s3://bucket/key does")
        return ReferenceFile(bucket=bucket, key=key)
    path = folder / named
    if not path.is_file():
        raise WrongContext(f"curation.reference_table.path: there is no file {named!a} beside the configuration")
    if path.stat().st_size > REFERENCE_BYTES_MAX:
        raise WrongContext(f"curation.reference_table.path: {named!a} has more than {REFERENCE_BYTES_MAX} bytes")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if table.get("sha256", digest) not in {"", digest}:
        raise WrongContext(f"curation.reference_table.sha256: it is not that of {named!a}")
    return ReferenceFile(path=path, sha256=digest)


def _source(table: dict[str, Any]) -> Source:
    url = urlsplit(table["url"])
    schedule = table.get("schedule", {})
    return Source(
        name=table["name"],
        host=url.hostname or "",
        port=url.port or DEFAULT_PORTS.get(url.scheme, 0),
        at=tuple(schedule.get("at", ())),
        every_s=schedule.get("every_s", 0),
        zone=table.get("zone", "UTC"),
        secrets=tuple(sorted(set(_arns(table, f"source {table['name']}")))),
    )


def _acquirer(table: dict[str, Any]) -> Partner:
    """By its first hop: a proxy, a jump host, or the server itself."""
    sftp = table.get("sftp", {})
    proxy = urlsplit(sftp.get("proxy", ""))
    first = sftp.get("jump", sftp)
    port = first.get("port", 22) if sftp else HTTPS * ("s3" in table)
    return Partner(name=table["name"], host=proxy.hostname or first.get("host", ""), port=proxy.port or port)


def _whole(arn: str, where: str) -> str:
    """A policy that names a secret without the end that AWS gave it allows nothing: nobody could open it."""
    if not WHOLE.search(arn):
        raise WrongContext(f"{where}: a secret needs its whole ARN, with the six characters that AWS added to its name")
    return arn


def _arns(value: Any, where: str) -> Iterator[str]:
    """The secrets below `value`. A reference to a file or a variable is refused: a function has neither."""
    match value:
        case dict():
            for each in value.values():
                yield from _arns(each, where)
        case list():
            for each in value:
                yield from _arns(each, where)
        case str() if value.startswith(SECRET):
            # `#FIELD` names one text of a secret that is a JSON object.
            yield _whole(value.removeprefix(SECRET).partition("#")[0], where)
        case str() if value.startswith(ELSEWHERE):
            raise WrongContext(
                f"{where}: a secret by {value.partition(':')[0]}: is not there on AWS; use aws-secret:ARN"
            )
