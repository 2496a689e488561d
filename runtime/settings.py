"""Reads tieout.toml into `payments.config.Configuration`, or says in one message what is wrong with it and where."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, get_args, get_origin
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from payments.config import Configuration
from payments.errors import WrongConfiguration

SIZE_MAX = 1_000_000
KEY_HINT = "docs/settings.md describes every key."


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration, where it came from, and the hash that every file and certificate names."""

    configuration: Configuration
    path: str
    base: Path
    config_hash: str


def find_path(given: str | None) -> str:
    """`--config`, else TIEOUT_CONFIG, else ./tieout.toml."""
    return given or os.environ.get("TIEOUT_CONFIG") or "tieout.toml"


def load(given: str | None = None) -> Settings:
    """Raises WrongConfiguration; nothing starts then."""
    path = find_path(given)
    text = _read(path)
    configuration = decode(text, path)
    base = Path.cwd() if path.startswith("s3://") else Path(path).resolve().parent
    return Settings(configuration, path, base, hashlib.sha256(text).hexdigest())


def _read(path: str) -> bytes:
    if path.startswith("s3://"):
        from runtime.store import store_at

        folder, _, name = path.rpartition("/")
        return store_at(folder, Path(), setting="--config").get(name)
    file = Path(path)
    try:
        if file.stat().st_size > SIZE_MAX:
            raise WrongConfiguration(f"{path}: larger than {SIZE_MAX} bytes")
        return file.read_bytes()
    except OSError as error:
        raise WrongConfiguration(
            f"{path}: cannot be read: {error.strerror}",
            next_step="Give --config FILE, set TIEOUT_CONFIG, or try the product with `tieout demo`.",
        ) from error


def decode(text: bytes, name: str) -> Configuration:
    """From TOML. The message gives the key's path, what was found and what is allowed."""
    try:
        data = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongConfiguration(f"{name}: not TOML: {error}") from error
    try:
        configuration = msgspec.convert(data, Configuration)
    except msgspec.ValidationError as error:
        raise WrongConfiguration(f"{name}: {_explain(str(error), data)}", next_step=KEY_HINT) from error
    for key, found, allowed in contradictions(configuration):
        raise WrongConfiguration(f"{name}: {key}: found {found!r}; allowed: {allowed}", next_step=KEY_HINT)
    return configuration


def _explain(message: str, data: dict[str, Any]) -> str:
    """Msgspec says what it expected and where; we add what was found there."""
    text, _, path = message.partition(" - at `$")
    path = path.rstrip("`")
    parts = [int(p) if p.isdigit() else p for p in re.findall(r"[^.\[\]]+", path) if p != "..."]
    value: Any = data
    try:
        for part in parts:
            value = value[part]
    except (KeyError, IndexError, TypeError):
        return f"{path.lstrip('.') or 'the file'}: {text}"
    shown = path.lstrip(".") or "the file"
    allowed = _allowed(parts)
    found = "a table" if isinstance(value, dict) else repr(value)[:80]
    return f"{shown}: found {found}; {text[0].lower()}{text[1:]}" + (f"; allowed: {allowed}" if allowed else "")


def _allowed(parts: list[Any]) -> str:
    """The literals that a key may hold, when it holds literals."""
    kind: Any = Configuration
    for part in parts:
        if isinstance(part, int):
            kind = get_args(kind)[0]
            continue
        hints = {each.name: each.type for each in msgspec.structs.fields(kind)} if isinstance(kind, type) else {}
        if part not in hints:
            return ""
        kind = hints[part]
        if get_origin(kind) is not None and str(get_origin(kind)).endswith("Annotated'>"):
            kind = get_args(kind)[0]
    return ", ".join(map(str, get_args(kind))) if "Literal" in str(get_origin(kind)) else ""


def contradictions(configuration: Configuration) -> list[tuple[str, object, str]]:
    """(key, found, allowed) of values that are well-formed and wrong all the same."""
    found: list[tuple[str, object, str]] = []
    for section in ("source", "acquirer"):
        names = [each.name for each in getattr(configuration, section)]
        found += [
            (f"{section}[{i}].name", name, "a name that no other has")
            for i, name in enumerate(names)
            if name in names[:i]
        ]
        for i, each in enumerate(getattr(configuration, section)):
            if not _zone(each.zone):
                found.append((f"{section}[{i}].zone", each.zone, "a zone of the IANA database, like Europe/Berlin"))
    known = {each.name for each in configuration.acquirer}
    found += [
        (
            f"curation.route[{i}].acquirer",
            route.acquirer,
            f"a configured acquirer: {', '.join(sorted(known)) or 'none is'}",
        )
        for i, route in enumerate(configuration.curation.route)
        if route.acquirer not in known
    ]
    for i, source in enumerate(configuration.source):
        missing = [name for name in ("amount", "currency", "direction", "requested_date") if not _mapped(source, name)]
        if missing:
            wanted = f"columns or constants for {', '.join(missing)}"
            found.append((f"source[{i}].columns", sorted(source.columns), wanted))
    for i, acquirer in enumerate(configuration.acquirer):
        if not acquirer.sftp.key and not acquirer.sftp.password:
            found.append((f"acquirer[{i}].sftp", "neither key nor password", "key or password, by reference"))
    start = configuration.clock.start
    if start is not None and start.tzinfo is None:
        found.append(("clock.start", start.isoformat(), "a time with zone, like 2026-03-02T06:00:00Z"))
    return found


def _mapped(source: Any, name: str) -> bool:
    if name == "direction" and source.sign != "none":
        return True
    return name in source.columns or name in source.constants


def _zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return name != "" and UTC is not None
