"""Reads and checks a pain.001 file, any version, by local name and in constant memory; gives payments in the layout of a PD line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from lxml import etree

from local.acquirer.money import MINOR_MAX, decimals, is_currency, minor_of, text_of
from local.acquirer.reading import (
    PAYMENTS_MAX,
    REFERENCE_MAX,
    Checked,
    Expected,
    Head,
    Refused,
    Row,
    day_of,
    refuse_out_of_turn,
)

WANTED = tuple(f"{{*}}{name}" for name in ("GrpHdr", "PmtInfId", "ReqdExctnDt", "CdtTrfTxInf", "PmtInf"))
DIGITS_MAX = 18


@dataclass(slots=True)
class _Group:
    """Header or payment information block: what it claims, and what was counted under it."""

    count: int = 0
    control_sum: Decimal = Decimal(0)
    claims: dict[str, str] = field(default_factory=dict)

    def refuse_if_off(self, where: str, code_count: str, code_sum: str) -> None:
        if self.claims.get("NbOfTxs", str(self.count)) != str(self.count):
            raise Refused(code_count, f"{where}: {self.count} payments were counted, NbOfTxs says otherwise")
        claimed = self.claims.get("CtrlSum")
        if claimed is not None and _decimal(claimed, where) != self.control_sum:
            raise Refused(code_sum, f"{where}: CtrlSum is not the sum that was counted")


def check(path: Path, name: str, expected: Expected) -> Checked:
    """The verdict on a pain.001 file. `name` is not in the message, so nothing compares it. Raises nothing for a bad file."""
    del name
    reader = _Reader(path)
    count, sums = 0, dict[str, int]()
    try:
        for row in reader.rows():
            count += 1
            if count == 1:
                refuse_out_of_turn(reader.head, expected)
            key = f"{row[5]}/CRDT"
            sums[key] = sums.get(key, 0) + minor_of(row[4])
    except Refused as refused:
        return Checked(reader.head, "RJCT", refused.code, refused.text)
    except (etree.XMLSyntaxError, OSError, ValueError):
        return Checked(reader.head, "RJCT", "FF01", "not well-formed XML that may be read")
    return Checked(reader.head, "ACTC", count=count, sums=sums)


@contextmanager
def payments(path: Path, count: int) -> Iterator[Iterator[Row]]:
    """The payments of a file that was checked, in order; `count` is known to agree."""
    del count
    yield _Reader(path).rows()


class _Reader:
    """One pass over one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.head = Head()

    def rows(self) -> Iterator[Row]:
        """Payments as PD rows with PmtInfId behind them. Raises Refused and what lxml raises."""
        whole, block = _Group(), _Group()
        batch, requested = "", ""
        for element in self._elements():
            name = etree.QName(element).localname
            if name == "GrpHdr":
                whole.claims = _claims(element)
                self.head = Head(message_id=_head_id(element))
            elif name == "PmtInfId":
                batch = (element.text or "").strip()
            elif name == "ReqdExctnDt":
                requested = day_of("".join(element.itertext()).strip()[:10], f"behind payment {whole.count}")
            elif name == "CdtTrfTxInf":
                row = _payment(element, whole.count + 1, requested, batch)
                for group in (whole, block):
                    group.count += 1
                    group.control_sum += Decimal(row[4])
                yield row
            else:
                block.claims = _claims(element)
                block.refuse_if_off(f"payment information {batch!a:.40}", "AM20", "AM17")
                block = _Group()
            if name in {"CdtTrfTxInf", "PmtInf"}:
                _forget(element)
        if not self.head.message_id:
            raise Refused("FF01", "there is no group header with a message id")
        if not whole.count <= PAYMENTS_MAX:
            raise Refused("AM18", "too many payments for one file")
        if not whole.count:
            raise Refused("AM18", "there is no payment in the file")
        whole.refuse_if_off("group header", "AM19", "AM16")

    def _elements(self) -> Iterator[Any]:
        with self._path.open("rb") as source:
            context = etree.iterparse(
                source,
                events=("end",),
                tag=WANTED,
                resolve_entities=False,
                load_dtd=False,
                no_network=True,
                huge_tree=False,
            )
            first = True
            for _, element in context:
                if first and element.getroottree().docinfo.doctype:
                    raise Refused("FF01", "a document type is not allowed")
                first = False
                yield element


def _payment(element: Any, line: int, requested: str, batch: str) -> Row:
    reference = _text(element, "{*}PmtId/{*}EndToEndId")
    instructed = element.find("{*}Amt/{*}InstdAmt")
    currency = "" if instructed is None else str(instructed.get("Ccy", ""))
    if not 0 < len(reference) <= REFERENCE_MAX or instructed is None:
        raise Refused("FF01", f"payment {line}: no EndToEndId or no instructed amount")
    if not is_currency(currency):
        raise Refused("AM11", f"payment {line}: the currency is not one")
    amount = text_of(_minor(instructed.text or "", decimals(currency), line), decimals(currency))
    account = _text(element, "{*}CdtrAcct/{*}Id/{*}IBAN") or _text(element, "{*}CdtrAcct/{*}Id/{*}Othr/{*}Id")
    return ["PD", str(line), reference, "CRDT", amount, currency, requested, *[""] * 4, account, *[""] * 3, batch]


def _minor(text: str, places: int, line: int) -> int:
    minor = _decimal(text, f"payment {line}").scaleb(places)
    if minor != minor.to_integral_value():
        raise Refused("CH20", f"payment {line}: the amount has too many decimals")
    if not 0 < minor <= MINOR_MAX:
        raise Refused("AM12", f"payment {line}: the amount is out of bounds")
    return int(minor)


def _decimal(text: str, where: str) -> Decimal:
    plain = text.strip()
    try:
        if len(plain) > 2 * DIGITS_MAX or not set(plain) <= set("0123456789."):
            raise Refused("AM12", f"{where}: an amount or sum cannot be read")
        return Decimal(plain)
    except InvalidOperation as error:
        raise Refused("AM12", f"{where}: an amount or sum cannot be read") from error


def _claims(element: Any) -> dict[str, str]:
    found = {name: element.find(f"{{*}}{name}") for name in ("NbOfTxs", "CtrlSum")}
    return {name: (each.text or "").strip() for name, each in found.items() if each is not None}


def _head_id(element: Any) -> str:
    return _text(element, "{*}MsgId")[:REFERENCE_MAX]


def _text(element: Any, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _forget(element: Any) -> None:
    # Constant memory: an element is done with once it was read, and so is its elder sibling of the same name.
    element.clear()
    elder = element.getprevious()
    if elder is not None and elder.tag == element.tag:
        element.getparent().remove(elder)
