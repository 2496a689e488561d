"""Writes acknowledgements and results as pain.002.001.12: the group's status in one, transactions' statuses in the others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import BinaryIO
from xml.sax.saxutils import escape

from local.acquirer.answers import Filed, Said, said_of
from local.acquirer.money import decimals, text_of
from local.acquirer.reading import Checked, Row

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.12"
LINES_PER_WRITE = 4096


def _head(name: str, what: str, created_at: str, message_id: str) -> str:
    ours = hashlib.sha256(f"{name}/{what}".encode()).hexdigest()[:30].upper()
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{NAMESPACE}">\n<CstmrPmtStsRpt>\n'
        f"<GrpHdr><MsgId>{ours}</MsgId><CreDtTm>{created_at}</CreDtTm></GrpHdr>\n<OrgnlGrpInfAndSts>"
        f"<OrgnlMsgId>{escape(message_id) or 'NOTPROVIDED'}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>"
    )


def _reason(code: str, text: str) -> str:
    if not code:
        return ""
    more = f"<AddtlInf>{escape(text[:105])}</AddtlInf>" if text else ""
    return f"<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn>{more}</StsRsnInf>"


def acknowledgement(name: str, checked: Checked, created_at: str) -> bytes:
    """The whole acknowledgement of a file."""
    return (
        f"{_head(name, 'ack', created_at, checked.head.message_id)}<GrpSts>{checked.verdict}</GrpSts>"
        f"{_reason(checked.code, checked.text)}</OrgnlGrpInfAndSts>\n</CstmrPmtStsRpt>\n</Document>\n"
    ).encode()


class PainSheet:
    """One result file. It leaves the group's status out: that was the acknowledgement's to say."""

    def __init__(self, sink: BinaryIO, filed: Filed, number: int, stated_at: str) -> None:
        self._sink = sink
        self._filed = filed
        self._batch: str | None = None
        head = _head(filed.name, str(number), stated_at, filed.checked.head.message_id)
        self._parts = [f"{head}</OrgnlGrpInfAndSts>\n"]

    def say(self, said: Said) -> None:
        if said.batch != self._batch:
            self._end_batch()
            self._parts.append(f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{escape(said.batch)}</OrgnlPmtInfId>\n")
            self._batch = said.batch
        amount = text_of(said.minor, decimals(said.currency))
        self._parts.append(
            f"<TxInfAndSts><OrgnlEndToEndId>{escape(said.reference)}</OrgnlEndToEndId><TxSts>{said.status}</TxSts>"
            f"{_reason(said.code, said.text)}<AcctSvcrRef>{said.about}</AcctSvcrRef><OrgnlTxRef>"
            f'<Amt><InstdAmt Ccy="{said.currency}">{amount}</InstdAmt></Amt>{_requested(said.requested)}'
            "</OrgnlTxRef></TxInfAndSts>\n"
        )
        if len(self._parts) >= LINES_PER_WRITE:
            self._flush()

    def confirm(self, rows: Iterable[Row], line: int) -> None:
        for each, row in enumerate(rows, line):
            self.say(said_of(row, "ACSC", self._filed.about(each)))

    def add_confirmed(self, sums: Mapping[str, int]) -> None:
        """pain.002 has no trailer that could hold sums."""

    def close(self) -> None:
        self._end_batch()
        self._parts.append("</CstmrPmtStsRpt>\n</Document>\n")
        self._flush()

    def _end_batch(self) -> None:
        if self._batch is not None:
            self._parts.append("</OrgnlPmtInfAndSts>\n")

    def _flush(self) -> None:
        self._sink.write("".join(self._parts).encode())
        self._parts.clear()


def _requested(day: str) -> str:
    return f"<ReqdExctnDt><Dt>{day}</Dt></ReqdExctnDt>" if day else ""
