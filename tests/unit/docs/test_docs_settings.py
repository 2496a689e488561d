"""docs/settings.md and the code agree: each table, each key, each default; and every configuration that is shown works."""

from __future__ import annotations

import re
from typing import Any, get_args, get_origin

import msgspec
import pytest

from payments import config
from runtime.settings import decode
from runtime.store import STORES
from tests.unit.docs.doc_pages import PAGES, ROOT, fences, missing, part, text_of


def sections() -> list[tuple[str, type[config.Section]]]:
    """(heading in docs/settings.md, section) of every table of the configuration."""
    found: list[tuple[str, type[config.Section]]] = []
    for each in msgspec.structs.fields(config.Configuration):
        kind, is_list = inner(each.type)
        assert kind is not None
        found.append((f"[[{each.name}]]" if is_list else f"[{each.name}]", kind))
        found += nested_sections(each.name, kind)
    return found


def nested_sections(path: str, section: type[config.Section]) -> list[tuple[str, type[config.Section]]]:
    found = []
    for each in msgspec.structs.fields(section):
        kind, _ = inner(each.type)
        if kind is not None:
            found += [(f"{path}.{each.name}", kind), *nested_sections(f"{path}.{each.name}", kind)]
    return found


def inner(kind: Any) -> tuple[type[config.Section] | None, bool]:
    """The section within a type, and whether it is one of a list."""
    if isinstance(kind, type) and issubclass(kind, config.Section):
        return kind, False
    for each in get_args(kind):
        if isinstance(each, type) and issubclass(each, config.Section):
            return each, get_origin(kind) is list
    return None, False


def default_of(each: msgspec.structs.FieldInfo) -> str:
    """As the tables of docs/settings.md write it; empty where words may stand."""
    if each.default_factory is not msgspec.NODEFAULT:
        value = each.default_factory()
        if isinstance(value, list) and value:
            return "`[" + ", ".join(f'"{entry}"' for entry in value) + "]`"
        return "empty" if value in ([], {}) else ""
    match each.default:
        case msgspec.UnsetType() | None:
            return "none"
        case bool() as flag:
            return f"`{str(flag).lower()}`"
        case str() as text:
            return f'`"{text}"`'
        case int() as number:
            return f"`{number}`"
        case _:
            return "required"


@pytest.mark.parametrize(("heading", "section"), sections(), ids=[heading for heading, _ in sections()])
def test_every_key_is_described_with_its_default(heading: str, section: type[config.Section]) -> None:
    """docs/settings.md has, under the heading of each table, one row per key, with the default that the code has."""
    rows: dict[str, list[str]] = {}
    for line in part(text_of("docs/settings.md"), heading).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) >= 3:
            rows |= dict.fromkeys(re.findall(r"`([a-z_0-9]+)`", cells[0]), cells)
    known = {each.encode_name: each for each in msgspec.structs.fields(section)}
    assert set(known) - set(rows) == set(), f"{heading}: keys without a row"
    described = {name for name in rows if name not in STORES}
    assert described - set(known) == set(), f"{heading}: rows without a key"
    for name, each in known.items():
        assert default_of(each) in rows[name][2] or inner(each.type)[0], f"{heading} {name}: {rows[name][2]}"


def test_every_store_is_described() -> None:
    """docs/settings.md says what each store holds."""
    assert missing("docs/settings.md", list(STORES)) == []


def toml_examples() -> list[str]:
    return [body for page in PAGES for kind, body in fences(page) if kind.split()[:1] == ["toml"]]


@pytest.mark.parametrize("example", toml_examples())
def test_every_configuration_that_is_shown_is_one(example: str) -> None:
    """Each example decodes: no key that does not exist, no value that is not allowed, no contradiction."""
    decode(example.encode(), "example.toml")


@pytest.mark.parametrize("page", ["README.md", "docs/settings.md"])
def test_the_example_by_hand_is_complete(page: str) -> None:
    """The first configuration of the README and of docs/settings.md has a PostgreSQL source, a route and an acquirer, with secrets by reference."""
    example = next(body for kind, body in fences(ROOT / page) if kind == "toml")
    found = decode(example.encode(), "tieout.toml")
    assert found.source[0].url.startswith("postgresql://")
    assert found.acquirer_named(found.curation.route[-1].acquirer) is not None
    assert found.acquirer[0].sftp.key
