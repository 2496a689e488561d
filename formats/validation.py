"""Reads a written outbound file once more before it is sealed: valid by its schema, complete, and counted again."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from payments.errors import SetAside, WrongConfiguration

NEXT_STEP = "Nothing of this file is sent. `tieout trace` of the file shows its payments; the plan is made again."


def validate_file(format: str, path: Path) -> None:  # noqa: A002  (the word that the configuration uses)
    """Stream the file in constant memory. Raises SetAside naming the line; never a value of it."""
    match format:
        case "delimited":
            _recount(path)
        case "pain.001.001.09":
            _check_schema(path)
        case _:
            raise WrongConfiguration(f"acquirer.format: {format!a} is unknown; allowed: delimited, pain.001.001.09")


def _recount(path: Path) -> None:
    """Head, numbered payments, trailer with their count, and nothing behind it."""
    payments, line, last, inside = 0, 0, b"", False
    with path.open("rb") as file:
        for line, text in enumerate(file, 1):
            starts_record, inside = not inside, inside ^ bool(text.count(b'"') & 1)
            if not starts_record:
                continue
            last = text
            if text.startswith(b"PD,%d," % (payments + 1)):
                payments += 1
            elif not (text.startswith(b"FH,") if line == 1 else text.startswith(b"FT,")):
                raise _invalid(path, f"line {line} does not follow from the one before it")
    if inside or not last.startswith(b"FT,%d," % payments) or not last.endswith(b"\n"):
        raise _invalid(path, f"line {line} is not a trailer that counts {payments} payments")


def _check_schema(path: Path) -> None:
    from lxml import etree

    # Every element is validated; only these come to Python, to be forgotten.
    walk = etree.iterparse(
        str(path),
        tag=("{*}CdtTrfTxInf", "{*}PmtInf"),
        schema=_schema(),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    try:
        for _, element in walk:
            _forget(element)
    except etree.XMLSyntaxError as error:
        # Not chained: the library's text quotes the offending value, which may be an account number (I7).
        raise _invalid(path, f"line {error.lineno} breaks the schema pain.001.001.09") from None


def _forget(element: Any) -> None:
    """Free the element and its elder siblings: memory stays flat whatever the size of the file."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]


@lru_cache(maxsize=1)
def _schema() -> Any:
    from lxml import etree

    text = resources.files("formats").joinpath("data", "pain.001.001.09.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(text))


def _invalid(path: Path, why: str) -> SetAside:
    return SetAside(f"file {path.name!a}: {why}", next_step=NEXT_STEP)
