"""Payments as sent, and what an acquirer says of them as delimited or pain.002 text; for the tests of reconcile only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from payments.records import OutboundFile


@dataclass(frozen=True)
class Pay:
    """A payment as sent."""

    reference: str
    minor: int = 1050
    currency: str = "EUR"
    direction: str = "CRDT"
    account: str = "DE89370400440532013000"

    @property
    def money(self) -> str:
        return f"{self.minor // 100}.{self.minor % 100:02d}"


@dataclass(frozen=True)
class Say:
    """What the acquirer says of one payment; None says the same as was sent."""

    reference: str
    status: str = "ACSC"
    minor: int = 1050
    currency: str = "EUR"
    direction: str = "CRDT"
    reason: str = ""
    account: str = "DE89370400440532013000"
    at: str = ""


def say(payment: Pay, status: str = "ACSC", **other: Any) -> Say:
    own = {"minor": payment.minor, "currency": payment.currency, "direction": payment.direction}
    return Say(payment.reference, status, **{**own, "account": payment.account, **other})


def ack(file: OutboundFile, status: str = "ACTC", *, reason: str = "", at: str = "2026-03-02T06:01:00Z") -> str:
    return (
        f"AH,TIEOUT1,{file.name},{file.file_id},{file.sequence},2026-03-02,{at}\n"
        f"AK,{status},{file.total.count},{reason},,{file.sequence + 1}\nAT,1\n"
    )


def results(
    file: OutboundFile | None, says: Sequence[Say], *, n: int = 1, at: str = "2026-03-02T07:00:00Z", trailer: str = ""
) -> str:
    """`file` None: a file that was never sent."""
    name, message, sequence = ("never.csv", "f" * 24, 999) if file is None else (file.name, file.file_id, file.sequence)
    lines = [f"RH,TIEOUT1,{name},{message},{sequence},{at},{n}"]
    sums: dict[str, int] = {}
    for line, each in enumerate(says, 1):
        money = f"{each.minor // 100}.{each.minor % 100:02d}"
        lines.append(
            f"RD,{line},{each.reference},{each.status},{each.reason},{money},{each.currency},{each.direction},"
            f"2026-03-02,{each.account},AQ{line},{each.at or at}"
        )
        key = f"{each.currency}/{each.direction}"
        sums[key] = sums.get(key, 0) + each.minor
    shown = "|".join(f"{key}={minor // 100}.{minor % 100:02d}" for key, minor in sorted(sums.items()))
    return "\n".join([*lines, trailer or f"RT,{len(says)},{shown}"]) + "\n"


def pain002(
    message: str | None,
    says: Sequence[Say] = (),
    *,
    group: str = "",
    reason: str = "",
    at: str = "2026-03-02T07:00:00Z",
) -> str:
    """A pain.002.001.10 about the message `message`; None: the report does not know which (NOTPROVIDED)."""
    code = f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>" if reason else ""
    status = f"<GrpSts>{group}</GrpSts>{code}" if group else ""
    rows = "".join(
        f"<TxInfAndSts><OrgnlEndToEndId>{each.reference}</OrgnlEndToEndId><TxSts>{each.status}</TxSts>"
        f'<OrgnlTxRef><Amt><InstdAmt Ccy="{each.currency}">{each.minor // 100}.{each.minor % 100:02d}</InstdAmt></Amt>'
        f"<CdtrAcct><Id><IBAN>{each.account}</IBAN></Id></CdtrAcct></OrgnlTxRef></TxInfAndSts>"
        for each in says
    )
    batch = f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>B1</OrgnlPmtInfId>{rows}</OrgnlPmtInfAndSts>" if rows else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10">'
        f"<CstmrPmtStsRpt><GrpHdr><MsgId>{at}</MsgId><CreDtTm>{at}</CreDtTm></GrpHdr><OrgnlGrpInfAndSts>"
        f"<OrgnlMsgId>{message or 'NOTPROVIDED'}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>{status}"
        f"</OrgnlGrpInfAndSts>{batch}</CstmrPmtStsRpt></Document>"
    )
