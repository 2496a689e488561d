"""Reads an outbound file back as an auditor would: its payments again from the bytes, and what the file claims of itself.

It shares nothing with the writers but the names of the formats: a mistake of theirs must not hide here.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from formats.trailer import minor_of_sum, sums_of
from payments.currencies import MINOR_UNITS
from payments.errors import Unreadable, WrongConfiguration

NAMESPACE = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.09}"
PD_FIELDS = 15


class Fingerprint:
    """SHA-256 over payments in their order, each by reference, direction, amount, currency and requested date."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, reference: str, direction: str, minor: int, currency: str, requested: str) -> None:
        self._digest.update(f"{reference}\x1f{direction}\x1f{minor}\x1f{currency}\x1f{requested}\n".encode())

    @property
    def value(self) -> str:
        return self._digest.hexdigest()


@dataclass(slots=True)
class Recounted:
    """What the bytes hold: `sums` in minor units by `EUR/CRDT`, `stated` what the file says of itself by its own names.

    `groups_off` counts groups inside the file whose own count or sum is not that of their payments.
    """

    count: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    plain_sum: Decimal = Decimal(0)
    fingerprint: Fingerprint = field(default_factory=Fingerprint)
    stated: dict[str, Any] = field(default_factory=dict)
    groups_off: int = 0

    def add(self, reference: str, direction: str, amount: str, currency: str, requested: str) -> None:
        minor = minor_of_sum(amount, MINOR_UNITS.get(currency, -1))
        if minor is None or direction not in {"CRDT", "DBIT"} or not _is_date(requested):
            raise Unreadable(f"payment {self.count + 1} has no exact amount, direction or date")
        self.count += 1
        self.sums[f"{currency}/{direction}"] += minor
        self.plain_sum += Decimal(amount)
        self.fingerprint.add(reference, direction, minor, currency, requested)


def recount(format: str, path: Path) -> Recounted:  # noqa: A002  (the word that the configuration uses)
    """Stream the file in constant memory. Raises Unreadable, naming no value, when it is not such a file."""
    match format:
        case "delimited":
            return _delimited(path)
        case "pain.001.001.09":
            return _pain001(path)
        case _:
            raise WrongConfiguration(f"acquirer.format: {format!a} is unknown; allowed: delimited, pain.001.001.09")


def _delimited(path: Path) -> Recounted:
    found = Recounted()
    records = _records(path)
    head = next(records, [])
    if len(head) != 8 or head[:2] != ["FH", "TIEOUT1"]:
        raise Unreadable("the first line is not a header FH of TIEOUT1")
    found.stated |= {"file name": head[3], "message id": head[4], "sequence": head[5], "business date": head[6]}
    trailer: list[str] = []
    for record in records:
        if trailer:
            raise Unreadable("lines follow the trailer")
        if len(record) == PD_FIELDS and record[:2] == ["PD", str(found.count + 1)]:
            found.add(record[2], record[3], record[4], record[5], record[6])
        elif len(record) == 5 and record[0] == "FT":
            trailer = record
        else:
            raise Unreadable(f"the line behind payment {found.count} is neither the next payment nor the trailer")
    if not trailer or not _ends_its_last_line(path):
        raise Unreadable("the file ends before the end of its trailer")
    found.stated |= {"count": trailer[1], "trailer date": trailer[2], "trailer sequence": trailer[3]}
    found.stated["sums"] = sums_of(trailer[4])
    return found


def _records(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.reader(file, strict=True)
    except (csv.Error, UnicodeDecodeError) as error:
        raise Unreadable("the file is not UTF-8 text with RFC 4180 quotes") from error


def _ends_its_last_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _pain001(path: Path) -> Recounted:
    from lxml import etree

    found = Recounted()
    try:
        with path.open("rb") as file:
            walk = etree.iterparse(
                file,
                events=("end",),
                tag=[NAMESPACE + name for name in ("GrpHdr", "ReqdExctnDt", "CdtTrfTxInf", "PmtInf")],
                resolve_entities=False,
                no_network=True,
                load_dtd=False,
                huge_tree=False,
            )
            _walk(found, walk)
    except etree.XMLSyntaxError:
        # Not chained: the library's text quotes values (I7).
        raise Unreadable("the file is not well-formed XML") from None
    if not found.stated:
        raise Unreadable("the file is not a pain.001.001.09")
    return found


def _walk(found: Recounted, walk: Any) -> None:
    requested, before = "", (0, Decimal(0))
    for _, element in walk:
        match element.tag.removeprefix(NAMESPACE):
            case "GrpHdr":
                found.stated = {"message id": _text(element, "MsgId"), "count": _text(element, "NbOfTxs")}
                found.stated["control sum"] = _text(element, "CtrlSum")
            case "ReqdExctnDt":
                requested = _text(element, "Dt")
            case "CdtTrfTxInf":
                amount = element.find(f"{NAMESPACE}Amt/{NAMESPACE}InstdAmt")
                currency, text = ("", "") if amount is None else (amount.get("Ccy", ""), amount.text or "")
                found.add(_text(element, "PmtId", "EndToEndId"), "CRDT", text, currency, requested)
                _forget(element)
            case "PmtInf":
                found.groups_off += not _group_holds(element, found, before)
                before = (found.count, found.plain_sum)
                _forget(element)


def _group_holds(element: Any, found: Recounted, before: tuple[int, Decimal]) -> bool:
    stated = _text(element, "CtrlSum")
    sum_holds = not stated or _decimal(stated) == found.plain_sum - before[1]
    return _text(element, "NbOfTxs") == str(found.count - before[0]) and sum_holds


def _text(element: Any, *names: str) -> str:
    text: str = element.findtext("/".join(NAMESPACE + name for name in names)) or ""
    return text


def _forget(element: Any) -> None:
    """Free an element and its elder siblings of the same name: memory stays flat whatever the size of the file."""
    element.clear()
    while (elder := element.getprevious()) is not None and elder.tag == element.tag:
        element.getparent().remove(elder)


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def control_sum_holds(found: Recounted) -> bool:
    """Whether the control sum of the whole file is the plain sum of its payments; the element is optional."""
    stated = found.stated.get("control sum")
    return not stated or _decimal(stated) == found.plain_sum


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
