"""The documentation says what the code says: every name is there, every example is real, every link leads somewhere."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curation.catalogue import MISSING_CODES, RULES, UNKNOWN_CODES, reason_codes
from payments import errors
from payments.states import (
    FILE_TRANSITIONS,
    MISMATCH_TRANSITIONS,
    EventStatus,
    FileState,
    MatchResult,
    MismatchKind,
    MismatchState,
    Outcome,
    PoolReason,
)
from tests.unit.docs.doc_pages import PAGES, ROOT, fences, missing, says, text_of, without_fences
from tieout.__main__ import COMMANDS, parser

EXPECTED = (
    "why",
    "concepts",
    "glossary",
    "settings",
    "formats",
    "errors",
    "operations",
    "aws",
    "runbook",
    "commands",
    "benchmarks",
    "roadmap",
)
CODE = "payments|formats|extractors|curation|transfer|reconciliation|runtime|dashboard|functions|local|tieout|cdk"
ROOMS = f"{CODE}|tests|docs|benchmarks|scripts|requirements"
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED_FILE = re.compile(rf"`((?:{ROOMS})/[A-Za-z0-9_./-]*[A-Za-z0-9_/])`")
NOT_PUBLIC = re.compile(
    r"(?<![A-Za-z0-9.`~])/(home|root|work|Users|mnt|opt|tmp)/|--(extra-)?index-url|/simple/?\b|artifactory|://[a-z]*pypi\b",
    re.IGNORECASE,
)
HOST = re.compile(r"(?:://|@)(?:[a-z0-9._-]+@)?([a-z0-9-]+(?:\.[a-z0-9-]+)+)", re.IGNORECASE)
HOSTS_ALLOWED = re.compile(r"(.*\.)?example(\.(net|com|org))?|127\.0\.0\.1|github\.com|openssh\.com|libssh\.org")

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pytest.mark.parametrize("name", EXPECTED)
def test_every_page_of_the_documentation_is_there_and_the_readme_leads_to_it(name: str) -> None:
    """No page is lost, and a reader of the README finds each."""
    assert (ROOT / "docs" / f"{name}.md").is_file()
    assert f"](docs/{name}.md" in text_of("README.md")


# Commands


def actions_of(command: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for nested in action.choices.values():
                yield from actions_of(nested)
        elif action.help != argparse.SUPPRESS:
            yield action


def commands() -> dict[str, argparse.ArgumentParser]:
    nested = next(each for each in parser()._actions if isinstance(each, argparse._SubParsersAction))
    return dict(nested.choices)


def section_of(name: str) -> str:
    found = re.findall(rf"^## tieout {name}\b.*?(?=^## |\Z)", text_of("docs/commands.md"), re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"docs/commands.md has {len(found)} sections on `tieout {name}`"
    return str(found[0])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_each_of_its_options_is_described(name: str) -> None:
    """docs/commands.md has a section per command that names every option and action; the README's table has the command."""
    section = section_of(name)
    assert says(text_of("README.md"), f"tieout {name}")
    for action in actions_of(commands()[name]):
        for option in action.option_strings:
            if option.startswith("--") and option not in {"--help", "--config", "--json"}:
                assert option in section, f"`tieout {name}` has {option}, which its section does not name"
            assert option != "--json" or "--json" in section or "--json" in text_of("docs/commands.md")
        for choice in action.choices or ():
            words = text_of("docs/commands.md") + text_of("docs/concepts.md")
            assert says(words, str(choice)), f"`tieout {name}` takes {choice}, which is nowhere described"


def test_no_section_describes_a_command_that_does_not_exist() -> None:
    """docs/commands.md holds the commands of the parser and no others."""
    assert set(re.findall(r"^## tieout (\S+)", text_of("docs/commands.md"), re.MULTILINE)) == set(COMMANDS)


def shown_commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for kind, body in fences(page):
            lines = body.replace("\\\n", " ").splitlines() if kind == "console" else []
            found += [(str(page.relative_to(ROOT)), line.strip()) for line in lines if line.strip()]
    return found


@pytest.mark.parametrize(("page", "line"), shown_commands())
def test_every_command_that_is_shown_can_be_typed(page: str, line: str) -> None:
    """A console example of ours parses with our own parser; make targets and scripts that are shown exist."""
    words = [word for word in shlex.split(line, comments=True) if word != "$"]
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    if not words:
        return
    if words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
        assert all(re.search(rf"^{re.escape(target)}:", text_of("Makefile"), re.MULTILINE) for target in targets)
        return
    if words[0].endswith("python") and words[1] == "-m":
        words = words[2:]
    if words[0] == "tieout" or words[0].endswith("/tieout"):
        given = words[1:]
        for stop in ("|", ">", "&&", ";", "2>", "&"):
            given = given[: given.index(stop)] if stop in given else given
        parser().parse_args(given)
    for word in words:
        if re.match(rf"({ROOMS})/", word) and not any(sign in word for sign in "*<"):
            assert (ROOT / word.partition("::")[0]).exists(), f"{page} shows {word}, which does not exist"


# States, codes, errors


@pytest.mark.parametrize("words", [FileState, MismatchState, MismatchKind, Outcome, PoolReason, MatchResult])
def test_every_state_kind_and_outcome_is_explained(words: type) -> None:
    """docs/concepts.md names every value of the published state machines."""
    assert missing("docs/concepts.md", [str(each) for each in words]) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("table", [FILE_TRANSITIONS, MISMATCH_TRANSITIONS], ids=["files", "mismatches"])
def test_the_transition_tables_are_those_of_the_code(table: dict[Any, frozenset[Any]]) -> None:
    """docs/concepts.md has a row per state, one cell of which names exactly the states that may follow."""
    rows = [line.split(" | ") for line in text_of("docs/concepts.md").splitlines() if line.startswith("| `")]
    names = {str(state) for state in table}
    for state, following in table.items():
        cells = [cell for row in rows if f"`{state}`" in row[0] for cell in row[1:]]
        told = [set(re.findall(r"`([a-z_]+)`", cell)) & names for cell in cells]
        assert {str(each) for each in following} in told, f"{state} may become {sorted(following)}"


def test_every_status_of_a_payment_is_explained() -> None:
    """docs/formats.md names every status that an acquirer may state."""
    assert missing("docs/formats.md", [str(each) for each in EventStatus]) == []


def test_every_reason_code_stands_beside_its_rule_and_field() -> None:
    """docs/errors.md has every rule of curation with its fields, code and message, and every code."""
    lines = text_of("docs/errors.md").splitlines()
    for rule in RULES:
        rows = [line for line in lines if line.startswith(f"| `{rule.name}` |") and f"| `{rule.code}` |" in line]
        assert any(f"`{rule.field}`" in row and rule.message in row for row in rows), rule
    for codes in (MISSING_CODES, UNKNOWN_CODES):
        assert [field for field, code in codes.items() if f"| `{field}` | `{code}` |" not in lines] == []
    assert missing("docs/errors.md", sorted(reason_codes())) == []


def test_every_error_is_explained() -> None:
    """docs/errors.md names every class of the error tree with its parent."""
    text = text_of("docs/errors.md")
    for name, each in vars(errors).items():
        if isinstance(each, type) and issubclass(each, errors.TieoutError):
            parent = "" if each is errors.TieoutError else f"`{each.__mro__[1].__name__}`"
            assert re.search(rf"^\| `{name}` \| {parent} ?\|", text, re.MULTILINE), name


def test_every_benchmark_is_listed() -> None:
    """docs/benchmarks.md names each script with its command, and none that does not exist."""
    scripts = {f"benchmarks/{each.name}" for each in (ROOT / "benchmarks").glob("*.py")}
    text = text_of("docs/benchmarks.md")
    assert set(re.findall(r"^\| `(benchmarks/[a-z_]+\.py)`", text, re.MULTILINE)) == scripts
    assert all(f".venv/bin/python {name}" in text for name in scripts)


# Links and names


def anchors(page: Path) -> set[str]:
    """As they are made from headings: lower case, without marks, blanks as dashes."""
    headings = re.findall(r"^#+ (.+)$", without_fences(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@by_page
def test_every_link_and_every_file_that_is_named_exists(page: Path) -> None:
    """A relative link leads to a file and a heading that are there; a path of ours in code marks is one of the tree."""
    text = without_fences(page)
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        found = page.parent / path if path else page
        assert found.exists(), f"{target} leads nowhere"
        assert not heading or heading in anchors(found), f"{target}: no such heading"
    for name in NAMED_FILE.findall(text):
        assert "NNNN" in name or (ROOT / name).exists(), f"`{name}` does not exist"


@by_page
def test_pages_name_no_machine_and_no_index(page: Path) -> None:
    """No absolute path of a machine, no package index, no host but examples."""
    text = page.read_text(encoding="utf-8")
    assert NOT_PUBLIC.findall(text) == []
    assert [host for host in HOST.findall(text) if not HOSTS_ALLOWED.fullmatch(host)] == []
