"""Reads a written outbound file once more before it is sealed: valid by its schema, complete, and counted again."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from formats.recount import recount
from formats.recount_pain import MESSAGES
from payments.books import Total
from payments.config_files import Layout
from payments.errors import SetAside, Unreadable, WrongConfiguration

NEXT_STEP = "Nothing of this file is sent. `tieout trace` of the file shows its payments; the plan is made again."


def validate_file(
    format: str,  # noqa: A002  (the word that the configuration uses)
    path: Path,
    layout: Layout | None = None,
    total: Total | None = None,
) -> None:
    """Stream the file in constant memory; a file of a declared layout must hold the payments of `total`, where given.

    Raises SetAside naming the line or the payment; never a value of it.
    """
    match format:
        case "delimited":
            _recount(path)
        case "fixed_width" | "delimited_columns":
            _recount_declared(format, path, layout, total)
        case name if name in MESSAGES:
            _check_schema(path, name)
        case _:
            raise WrongConfiguration(f"acquirer.format: {format!a} is unknown: it is none that Tieout writes")


def _recount_declared(name: str, path: Path, layout: Layout | None, total: Total | None) -> None:
    """Such a file need not say how many payments it holds: the plan does."""
    try:
        found = recount(name, path, layout)
    except Unreadable as error:
        raise _invalid(path, str(error)) from error
    claimed = found.stated.get("trailer count", found.stated.get("count"))
    if claimed is not None and claimed.lstrip("0") != str(found.count).lstrip("0"):
        raise _invalid(path, f"it does not count the {found.count} payments that it holds")
    if total is not None and (found.count, {k: v for k, v in found.sums.items() if v}) != (
        total.count,
        {k: v for k, v in total.amount_minor.items() if v},
    ):
        raise _invalid(path, "read back, its count or its sums are not those of the plan")


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


def _check_schema(path: Path, name: str) -> None:
    from lxml import etree

    # Every element is validated; only these come to Python, to be forgotten.
    walk = etree.iterparse(
        str(path),
        tag=("{*}CdtTrfTxInf", "{*}DrctDbtTxInf", "{*}PmtInf"),
        schema=_schema(name),
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
        raise _invalid(path, f"line {error.lineno} breaks the schema {name}") from None


def _forget(element: Any) -> None:
    """Free the element and its elder siblings: memory stays flat whatever the size of the file."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]


@lru_cache(maxsize=4)
def _schema(name: str) -> Any:
    from lxml import etree

    text = resources.files("formats").joinpath("data", f"{name}.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(text))


def _invalid(path: Path, why: str) -> SetAside:
    return SetAside(f"file {path.name!a}: {why}", next_step=NEXT_STEP)
