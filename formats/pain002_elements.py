"""Follows the elements of a pain.002 as they pass by and gathers one row per group, payment information and payment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from formats.pain002_claims import Claim, Listed, claims_of
from formats.reported import Reading, not_readable
from formats.stated import GROUP_STATUSES, NOT_PROVIDED, StatedRows, time_of
from formats.trailer import COUNT
from payments.states import MismatchKind

DEPTH_MAX = 64
TEXT_CHARACTERS_MAX = 64 * 1024
PATH_CHARACTERS_MAX = 1000
LEAVES_MAX = 1000  # texts within one payment, payment information or group; a full one has about 100

HEAD, GROUP, BATCH, PAYMENT = "GrpHdr", "OrgnlGrpInfAndSts", "OrgnlPmtInfAndSts", "TxInfAndSts"
CONTAINERS = frozenset({HEAD, GROUP, BATCH, PAYMENT})

CODES = frozenset({"StsRsnInf/Rsn/Cd", "StsRsnInf/Rsn/Prtry", "StsRsnInf/StsRsn/Cd", "StsRsnInf/StsRsn/Prtry"})
NARRATIVES = frozenset({"StsRsnInf/AddtlInf", "StsRsnInf/AddtlStsRsnInf"})  # the second: version 02
AMOUNTS = ("OrgnlTxRef/Amt/InstdAmt", "OrgnlTxRef/Amt/EqvtAmt/Amt", "OrgnlTxRef/IntrBkSttlmAmt")
DATES = (
    "OrgnlTxRef/ReqdExctnDt",
    "OrgnlTxRef/ReqdExctnDt/Dt",
    "OrgnlTxRef/ReqdExctnDt/DtTm",
    "OrgnlTxRef/ReqdColltnDt",
)
ACCOUNTS = ("OrgnlTxRef/CdtrAcct/Id/IBAN", "OrgnlTxRef/CdtrAcct/Id/Othr/Id", "OrgnlTxRef/CdtrAcct/Id/PrtryAcct/Id")

Leaves = list[tuple[str, str]]
"""(path below the container, text) in the order of the file."""


class Report:
    """A target of lxml's parser: it calls start, data and end for each element, in order."""

    def __init__(self, reading: Reading, zone: ZoneInfo) -> None:
        self.reading = reading
        self.rows = StatedRows()
        self.created_at: datetime | None = None
        self._zone = zone
        self._is_report = False
        self._paths: list[str] = []  # of each open element, below its container
        self._text: list[str] = []
        self._characters = 0
        self._containers: list[tuple[str, Leaves]] = []
        self._line = 0
        self._groups = 0
        self._batches = 0
        self._group_claims: list[Claim] = []
        self._listed = Listed()  # in the whole file
        self._listed_in_batch = Listed()

    def doctype(self, *_: Any) -> None:
        raise not_readable(self.reading.name, "it has a DOCTYPE")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition("}")[2]
        if len(self._paths) >= DEPTH_MAX:
            raise not_readable(self.reading.name, f"its elements are nested deeper than {DEPTH_MAX}")
        if name in CONTAINERS:
            self._open(name)
        elif name == "CstmrPmtStsRpt" or name.startswith("pain.002."):
            self._is_report = True
        else:
            parent = self._paths[-1] if self._paths else ""
            path = f"{parent}/{name}" if parent else name
            if len(path) > PATH_CHARACTERS_MAX:
                raise not_readable(self.reading.name, "the names of its elements are too long")
            self._paths.append(path)
            self._clear_text()
            if "Ccy" in attributes:
                self._leaf(f"{path}@Ccy", attributes["Ccy"][:4])  # a code has three letters: a fourth shows it is none
            return
        self._paths.append("")

    def data(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > TEXT_CHARACTERS_MAX:
            raise not_readable(self.reading.name, f"it has a text of more than {TEXT_CHARACTERS_MAX} characters")
        self._text.append(text)

    def end(self, tag: str) -> None:
        path = self._paths.pop()
        if path:
            self._leaf(path, "".join(self._text).strip())
        elif self._containers and tag.rpartition("}")[2] == self._containers[-1][0]:
            self._close(*self._containers.pop())
        self._clear_text()

    def close(self) -> None:
        """Asked for by the parser, which calls it behind an error too: what must hold at the end is checked in `finish`."""

    def finish(self) -> None:
        """The closing tag was seen. Raises Unreadable when no pain.002 was in it."""
        if not self._is_report:
            raise not_readable(self.reading.name, "it is not a pain.002")
        self.reading.complete = True
        self.reading.problems += self._listed.problems(self._group_claims, "the group")
        if not self._groups:
            self.reading.add_problem(MismatchKind.FILE_UNREADABLE, "the report does not say which message it is about")

    def _clear_text(self) -> None:
        self._text, self._characters = [], 0

    def _open(self, name: str) -> None:
        if not self._is_report:
            raise not_readable(self.reading.name, "it is not a pain.002")
        self._containers.append((name, []))
        if name == BATCH:
            self._listed_in_batch = Listed()

    def _leaf(self, path: str, text: str) -> None:
        if not self._containers or not text:
            return
        leaves = self._containers[-1][1]
        if len(leaves) >= LEAVES_MAX:
            raise not_readable(self.reading.name, f"one of its groups or payments has more than {LEAVES_MAX} values")
        leaves.append((path, text))

    def _close(self, name: str, leaves: Leaves) -> None:
        first = dict(reversed(leaves))
        if name == HEAD:
            self._close_head(first)
        elif name == GROUP:
            self._close_group(first, leaves)
        elif name == BATCH:
            self._close_batch(first, leaves)
        else:
            self._close_payment(first, leaves)

    def _close_head(self, first: Mapping[str, str]) -> None:
        self.created_at = time_of(first.get("CreDtTm", ""), self._zone)
        if self.created_at is None:
            self.reading.add_problem(MismatchKind.FILE_UNREADABLE, "the report's creation time cannot be read")

    def _close_group(self, first: Mapping[str, str], leaves: Leaves) -> None:
        self._groups += 1
        status = first.get("GrpSts")
        if self._groups > 1:
            self._add(leaves, level="GRP", status=status, error="a second group in one report")
            return
        message_id = first.get("OrgnlMsgId")
        self.reading.original_msg_id = None if message_id == NOT_PROVIDED else message_id
        count = first.get("OrgnlNbOfTxs", "")
        self.reading.original_count = int(count) if COUNT.fullmatch(count) else None
        if status in GROUP_STATUSES:
            self.reading.group_status, self.reading.group_reason = status, _reasons(leaves)[0]
        self._add(leaves, level="GRP", status=status)
        self._group_claims = claims_of(leaves)

    def _close_batch(self, first: Mapping[str, str], leaves: Leaves) -> None:
        self._batches += 1
        status = first.get("PmtInfSts")
        if status is not None:
            self._add(leaves, level="PMTINF", status=status)
        where = f"payment information {self._batches}"
        self.reading.problems += self._listed_in_batch.problems(claims_of(leaves), where)
        if status == "RJCT" and not self._listed_in_batch.count:
            self.reading.add_problem(MismatchKind.FILE_REFUSED, f"{where} is rejected without a list of its payments")

    def _close_payment(self, first: Mapping[str, str], leaves: Leaves) -> None:
        amount_path = next((path for path in AMOUNTS if path in first), "")
        amount, status = first.get(amount_path), first.get("TxSts")
        for listed in (self._listed, self._listed_in_batch):
            listed.add(status or "", amount)
        self._add(
            leaves,
            level="TX",
            end_to_end_id=first.get("OrgnlEndToEndId"),
            status=status,
            amount=amount,
            currency=first.get(f"{amount_path}@Ccy"),
            # A date may carry a zone or a time behind its ten characters.
            requested_date=next((first[path][:10] for path in DATES if path in first), None),
            creditor_account=next((first[path] for path in ACCOUNTS if path in first), None),
            acquirer_reference=first.get("AcctSvcrRef"),
        )

    def _add(self, leaves: Leaves, *, level: str, error: str | None = None, **texts: str | None) -> None:
        self._line += 1
        code, narrative = _reasons(leaves)
        self.rows.add(self._line, level=level, error=error, reason_code=code, reason_text=narrative, **texts)


def _reasons(leaves: Leaves) -> tuple[str | None, str | None]:
    """The first reason code; further codes and all narratives as one text."""
    codes = [text for path, text in leaves if path in CODES]
    narratives = [text for path, text in leaves if path in NARRATIVES]
    return (codes[0] if codes else None), (" ".join([*codes[1:], *narratives]) or None)
