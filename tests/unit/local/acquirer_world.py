"""A directory for the stand-in acquirer, files to send to it, and eyes on what it answers; for its tests only."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.acquirer.desk import Desk
from local.acquirer.settings import parse

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SHARES = {
    "rejected": 0.05,
    "amount_changed": 0.03,
    "currency_changed": 0.03,
    "omitted": 0.03,
    "repeated": 0.03,
    "invented": 0.03,
    "returned": 0.03,
    "late": 0.03,
    "conflicting": 0.03,
}
DELAYS = {"ack_delay_s": 60, "result_delay_s": 3600, "late_delay_s": 21_600, "return_delay_s": 72_000}
PLACES = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}


def settings(**partner: Any) -> dict[str, Any]:
    """The value of acquirer.json with one partner, northbank."""
    northbank = {"name": "northbank", "format": "delimited", "results_list": "all", **DELAYS, "shares": SHARES}
    return {"seed": 7, "host": "127.0.0.1", "port": 0, "partners": [northbank | partner]}


def major(minor: int, currency: str) -> str:
    places = PLACES[currency]
    return f"{minor // 10**places}.{minor % 10**places:0{places}d}" if places else str(minor)


def payments_of(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Payments of several currencies, one in seven with an account that needs quotes."""
    rng = random.Random(seed)
    return [
        {
            "reference": f"REF-{seed}-{line:06d}",
            "direction": rng.choice(("CRDT", "CRDT", "DBIT")),
            "minor": rng.randint(1, 10_000_000),
            "currency": rng.choice(tuple(PLACES)),
            "requested": f"2026-03-{rng.randint(2, 9):02d}",
            "account": 'ACC,"7"' if line % 7 == 0 else f"NL91ABNA{line:010d}",
        }
        for line in range(1, count + 1)
    ]


def sums_of(payments: list[dict[str, Any]]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for each in payments:
        sums[f"{each['currency']}/{each['direction']}"] += each["minor"]
    return dict(sums)


def delimited(name: str, sequence: int, payments: list[dict[str, Any]], message_id: str = "") -> list[list[str]]:
    """The lines of a file as fields, so that a test can spoil one."""
    head = ["FH", "TIEOUT1", "northbank", name, message_id or f"id{sequence}", str(sequence), "2026-03-02"]
    lines = [[*head, "2026-03-02T06:00:00Z"]]
    for line, each in enumerate(payments, 1):
        money = [each["direction"], major(each["minor"], each["currency"]), each["currency"], each["requested"]]
        people = ["Debtor", "DE89370400440532013000", "COBADEFFXXX", "Payee", each["account"], "ABNANL2A"]
        lines.append(["PD", str(line), each["reference"], *money, *people, "SUPP", "Invoice 7, March"])
    sums = "|".join(f"{key}={major(minor, key[:3])}" for key, minor in sorted(sums_of(payments).items()))
    return [*lines, ["FT", str(len(payments)), "2026-03-02", str(sequence), sums]]


def text_of(lines: list[list[str]]) -> str:
    def field(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text

    return "".join(",".join(field(each) for each in line) + "\n" for line in lines)


def pain001(message_id: str, payments: list[dict[str, Any]], **spoil: str) -> str:
    """A pain.001.001.09 with two payment information blocks."""
    half = (len(payments) + 1) // 2
    blocks = "".join(_block(f"B{at}", payments[at : at + half]) for at in range(0, len(payments), half))
    total = spoil.get("control_sum", _control_sum(payments) + "00")
    count = spoil.get("count", str(len(payments)))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{spoil.get("doctype", "")}'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"><CstmrCdtTrfInitn>'
        f"<GrpHdr><MsgId>{message_id}</MsgId><CreDtTm>2026-03-02T06:00:00Z</CreDtTm><NbOfTxs>{count}</NbOfTxs>"
        f"<CtrlSum>{total}</CtrlSum><InitgPty><Nm>Tieout</Nm></InitgPty></GrpHdr>{blocks}</CstmrCdtTrfInitn></Document>"
    )


def _control_sum(payments: list[dict[str, Any]]) -> str:
    return major(sum(each["minor"] for each in payments), "EUR")


def _block(name: str, payments: list[dict[str, Any]]) -> str:
    transactions = "".join(
        f"<CdtTrfTxInf><PmtId><EndToEndId>{each['reference']}</EndToEndId></PmtId>"
        f'<Amt><InstdAmt Ccy="EUR">{major(each["minor"], "EUR")}</InstdAmt></Amt>'
        f"<CdtrAcct><Id><IBAN>NL91ABNA0417164300</IBAN></Id></CdtrAcct></CdtTrfTxInf>"
        for each in payments
    )
    return (
        f"<PmtInf><PmtInfId>{name}</PmtInfId><NbOfTxs>{len(payments)}</NbOfTxs>"
        f"<CtrlSum>{_control_sum(payments)}</CtrlSum><ReqdExctnDt><Dt>2026-03-03</Dt></ReqdExctnDt>"
        f"{transactions}</PmtInf>"
    )


class World:
    """One acquirer with one partner, driven in this process without SFTP."""

    def __init__(self, directory: Path, **partner: Any) -> None:
        self.directory = directory
        self.root = directory / "acquirer" / "northbank"
        self._settings = parse(settings(**partner))
        (directory / "acquirer").mkdir(parents=True, exist_ok=True)
        self.restart()

    def restart(self) -> None:
        self.desk = Desk(self.directory, self._settings)

    def put(self, name: str, text: str) -> None:
        (self.root / "inbox" / name).write_text(text, "utf-8", newline="")

    def send(self, name: str, sequence: int, payments: list[dict[str, Any]]) -> None:
        self.put(name, text_of(delimited(name, sequence, payments)))

    def work(self, now: datetime) -> datetime | None:
        return self.desk.work(self.desk.look(), now)

    def answers(self) -> dict[str, bytes]:
        return {each.name: each.read_bytes() for each in sorted((self.root / "outbox").iterdir())}

    def lines(self, name: str) -> list[list[str]]:
        text = (self.root / "outbox" / name).read_text("utf-8")
        return list(csv.reader(text.splitlines()))

    def acknowledgement(self, name: str) -> list[str]:
        return self.lines(f"{name}.ack")[1]

    def results(self, name: str, number: int) -> list[list[str]]:
        return [line for line in self.lines(f"{name}.result.{number}") if line[0] == "RD"]

    def truth(self, *kinds: str) -> list[dict[str, Any]]:
        path = self.directory / "truth" / "acquirer.jsonl"
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [each for each in found if not kinds or each["kind"] in kinds]
