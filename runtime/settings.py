"""Reads tieout.toml into `payments.config.Configuration`, or says in one message what is wrong with it and where."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from payments.config import Configuration
from payments.errors import WrongConfiguration
from runtime.contradictions import contradictions
from runtime.named_file import S3, read_named

SIZE_MAX = 1_000_000
OVERRIDES = "TIEOUT_OVERRIDES"
"""Where a deployment says what the file cannot know: names of buckets, the address of the ledger."""
OWN_TABLES = frozenset({"ledger", "service"})
"""Tables in which functions of one deployment differ, by user or task: they decide nothing about a payment."""
KEY_HINT = "docs/settings.md describes every key."
FIND_HINT = "Give --config FILE, set TIEOUT_CONFIG, or try the product with `tieout demo`."
SECRET_KEYS = frozenset(
    {"password", "key", "key_passphrase", "proxy", "proxy_password", "url", "access_key", "secret_key"}
)
"""What stands under these keys is never shown: it may be a secret written where only its reference belongs."""


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
    overrides = os.environ.get(OVERRIDES, "")
    configuration = decode(text, path, overrides)
    base = Path.cwd() if path.startswith(S3) else Path(path).resolve().parent
    return Settings(configuration, path, base, hashlib.sha256(text + _shared(overrides)).hexdigest())


def _shared(overrides: str) -> bytes:
    """What a deployment says over the file decides as much as the file: a hash that left it out would prove nothing."""
    if not overrides:
        return b""
    told = {key: value for key, value in _parsed(overrides).items() if key not in OWN_TABLES}
    return json.dumps(told, sort_keys=True).encode()


def _read(path: str) -> bytes:
    return read_named(
        path,
        Path(),
        shown=path if path.startswith(S3) else ascii(path),
        bytes_max=SIZE_MAX,
        # The configuration names the endpoint of its stores; its own can only come from AWS's variable.
        endpoint=os.environ.get("AWS_ENDPOINT_URL", ""),
        next_step=FIND_HINT,
        setting="--config",
    )


def decode(text: bytes, name: str, overrides: str = "") -> Configuration:
    """From TOML, with a JSON object merged over it. The message gives the key's path, what was found and what is allowed."""
    try:
        data = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        # ValueError: not UTF-8, not TOML, or a number of thousands of digits.
        why = error if isinstance(error, ValueError) else "nested too deeply"
        raise WrongConfiguration(f"{name}: not TOML: {why}") from error
    if overrides:
        name, data = f"{name} with {OVERRIDES}", _merged(data, _parsed(overrides))
    try:
        configuration = msgspec.convert(data, Configuration)
    except msgspec.ValidationError as error:
        raise WrongConfiguration(f"{name}: {_explain(str(error), data)}", next_step=KEY_HINT) from error
    for key, found, allowed in contradictions(configuration):
        raise WrongConfiguration(f"{name}: {key}: found {found!a}; allowed: {allowed}", next_step=KEY_HINT)
    return configuration


def _parsed(overrides: str) -> dict[str, Any]:
    try:
        found = json.loads(overrides)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise WrongConfiguration(f"{OVERRIDES}: not a JSON object", next_step=KEY_HINT)
    return found


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged, everything else is replaced, lists too."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _explain(message: str, data: dict[str, Any]) -> str:
    """Msgspec says what it expected and where; we add what was found there."""
    text, _, path = message.partition(" - at `$")
    path = path.rstrip("`")
    parts = [int(p) if p.isdigit() else p for p in re.findall(r"[^.\[\]]+", path) if p != "..."]
    shown = path.lstrip(".") or "the file"
    value: Any = data
    try:
        for part in parts:
            value = value[part]
    except (KeyError, IndexError, TypeError):
        return f"{shown}: {text}"
    allowed = _allowed(parts, keys="unknown field" in text)
    found = _shown(value, secret=any(part in SECRET_KEYS for part in parts))
    return f"{shown}: found {found}; {text[0].lower()}{text[1:]}" + (f"; allowed: {allowed}" if allowed else "")


def _shown(value: Any, *, secret: bool) -> str:
    """A value for a message. What holds other values is only named: one of them may be a secret written where none belongs."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case _:
            return "a value that is not shown" if secret else ascii(value)[:80]


def _allowed(parts: list[Any], *, keys: bool) -> str:
    """The literals that a key may hold, when it holds literals; with `keys` those of the table."""
    kind: Any = Configuration
    for part in parts:
        if isinstance(part, int):
            kind = _bare(next(iter(get_args(kind)), None))
            continue
        hints = {each.name: each.type for each in msgspec.structs.fields(kind)} if _is_section(kind) else {}
        kind = _bare(hints.get(part))
    if keys and _is_section(kind):
        return ", ".join(each.name for each in msgspec.structs.fields(kind))
    return ", ".join(map(str, get_args(kind))) if get_origin(kind) is Literal else ""


def _bare(kind: Any) -> Any:
    """Without what is said about it, and without the None of what may be left out."""
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return next(filter(_is_section, get_args(kind)), kind) if isinstance(kind, UnionType) else kind


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
