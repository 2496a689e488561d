"""Reads from the user's tieout.toml what the infrastructure must know: names, schedules, addresses, and which secrets."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cdk.environment import WrongContext

SECRET = "aws-secret:"  # noqa: S105 - the scheme of a reference
ELSEWHERE = ("env:", "file:")
DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}
HTTPS = 443


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
class Configuration:
    """What is read of one tieout.toml. `tables` is the file as it stands, for the secrets of single tables."""

    path: Path
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
    return Configuration(path=path, sources=sources, acquirers=acquirers, tables=tables)


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
            yield value.removeprefix(SECRET).partition("#")[0]
        case str() if value.startswith(ELSEWHERE):
            raise WrongContext(
                f"{where}: a secret by {value.partition(':')[0]}: is not there on AWS; use aws-secret:ARN"
            )
