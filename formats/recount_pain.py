"""Counts the payments of a pain.001 or pain.008 again, from the XML alone."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from formats.recounted import Recounted, decimal_of
from payments.errors import Unreadable


@dataclass(frozen=True, slots=True)
class Message:
    """Where one version of a message says what is counted: element names, relative to the payment or the group."""

    name: str
    payment: str
    amount: tuple[str, ...]
    direction: str
    date: str
    inner_date: tuple[str, ...]

    @property
    def namespace(self) -> str:
        return f"{{urn:iso:std:iso:20022:tech:xsd:{self.name}}}"


def _credit(version: str, *inner_date: str) -> Message:
    name = f"pain.001.001.{version}"
    return Message(name, "CdtTrfTxInf", ("Amt", "InstdAmt"), "CRDT", "ReqdExctnDt", inner_date)


MESSAGES = {
    each.name: each
    for each in (
        _credit("03"),
        _credit("09", "Dt"),
        _credit("11", "Dt"),
        Message("pain.008.001.08", "DrctDbtTxInf", ("InstdAmt",), "DBIT", "ReqdColltnDt", ()),
    )
}


def recount_pain(path: Path, message: Message) -> Recounted:
    """Stream the message in constant memory. Raises Unreadable when it is not well-formed or another message."""
    from lxml import etree

    found = Recounted()
    try:
        with path.open("rb") as file:
            walk = etree.iterparse(
                file,
                events=("end",),
                tag=[message.namespace + name for name in ("GrpHdr", message.date, message.payment, "PmtInf")],
                resolve_entities=False,
                no_network=True,
                load_dtd=False,
                huge_tree=False,
            )
            _walk(found, walk, message)
    except etree.XMLSyntaxError:
        # Not chained: the library's text quotes values (I7).
        raise Unreadable("the file is not well-formed XML") from None
    if not found.stated:
        raise Unreadable(f"the file is not a {message.name}")
    return found


def _walk(found: Recounted, walk: Any, message: Message) -> None:
    space = message.namespace
    requested, before = "", (0, Decimal(0))
    for _, element in walk:
        name = element.tag.removeprefix(space)
        if name == "GrpHdr":
            found.stated = {"message id": _text(element, space, "MsgId"), "count": _text(element, space, "NbOfTxs")}
            found.stated["control sum"] = _text(element, space, "CtrlSum")
        elif name == message.date:
            requested = _text(element, space, *message.inner_date) if message.inner_date else element.text or ""
        elif name == message.payment:
            amount = element.find("/".join(space + each for each in message.amount))
            currency, text = ("", "") if amount is None else (amount.get("Ccy", ""), amount.text or "")
            found.add(_text(element, space, "PmtId", "EndToEndId"), message.direction, text, currency, requested)
            _forget(element)
        else:
            found.groups_off += not _group_holds(element, space, found, before)
            before = (found.count, found.plain_sum)
            _forget(element)


def _group_holds(element: Any, space: str, found: Recounted, before: tuple[int, Decimal]) -> bool:
    stated = _text(element, space, "CtrlSum")
    sum_holds = not stated or decimal_of(stated) == found.plain_sum - before[1]
    return _text(element, space, "NbOfTxs") == str(found.count - before[0]) and sum_holds


def _text(element: Any, space: str, *names: str) -> str:
    text: str = element.findtext("/".join(space + name for name in names)) or ""
    return text


def _forget(element: Any) -> None:
    """Free an element and its elder siblings of the same name: memory stays flat whatever the size of the file."""
    element.clear()
    while (elder := element.getprevious()) is not None and elder.tag == element.tag:
        element.getparent().remove(elder)
