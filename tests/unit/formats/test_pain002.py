"""The pain.002 reports that come back."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from formats import pain002
from formats.reading import Reading, read_result
from payments.errors import Unreadable
from payments.states import MismatchKind
from payments.tables import REPORTED

DATA = Path(__file__).parents[2] / "data"
SPACE = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.12"


def payment(reference: str = "REF1", status: str = "RJCT", more: str = "") -> str:
    return (
        f"<TxInfAndSts><OrgnlEndToEndId>{reference}</OrgnlEndToEndId><TxSts>{status}</TxSts>"
        f"<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf>{more}</TxInfAndSts>"
    )


def report(*payments: str, group: str = "<GrpSts>PART</GrpSts>", batch: str = "", space: str = SPACE) -> str:
    listed = f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>B1</OrgnlPmtInfId>{batch}{''.join(payments)}</OrgnlPmtInfAndSts>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{space}"><CstmrPmtStsRpt>'
        "<GrpHdr><MsgId>THEIRS1</MsgId><CreDtTm>2026-03-02T07:00:00Z</CreDtTm></GrpHdr>"
        "<OrgnlGrpInfAndSts><OrgnlMsgId>0123456789abcdef01234567</OrgnlMsgId>"
        f"<OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>{group}</OrgnlGrpInfAndSts>"
        f"{listed if payments or batch else ''}</CstmrPmtStsRpt></Document>"
    )


def read(path: Path) -> tuple[Reading, list[dict[str, Any]]]:
    reading = read_result("pain.002", path)
    rows: list[dict[str, Any]] = []
    for each in reading:
        each.validate(full=True)
        assert each.schema == REPORTED
        rows += each.to_pylist()
    assert reading.lines == len(rows) == reading.control + reading.events + reading.unreadable
    assert [row["line"] for row in rows] == list(range(1, len(rows) + 1))
    return reading, rows


def read_text(tmp_path: Path, text: str | bytes) -> tuple[Reading, list[dict[str, Any]]]:
    path = tmp_path / "out.xml.result.1.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path)


def test_report_is_read_whole(tmp_path: Path) -> None:
    """Group, payment information and payments give one row each, with reasons, amounts, dates and references."""
    details = (
        "<StsRsnInf><Rsn><Prtry>X1</Prtry></Rsn><AddtlInf>closed</AddtlInf><AddtlInf>long ago</AddtlInf></StsRsnInf>"
        "<AcctSvcrRef>AQ1</AcctSvcrRef><OrgnlTxRef><Amt><InstdAmt Ccy='EUR'>72.5400</InstdAmt></Amt>"
        "<ReqdExctnDt><Dt>2026-03-02</Dt></ReqdExctnDt>"
        "<CdtrAcct><Id><IBAN>FR1420041010050500013M02606</IBAN></Id></CdtrAcct></OrgnlTxRef>"
    )
    text = report(payment(more=details), payment("REF2", "ACSC"), batch="<PmtInfSts>PART</PmtInfSts>")
    etree.XMLSchema(etree.parse(DATA / "xsd" / "pain.002.001.12.xsd")).assertValid(etree.fromstring(text.encode()))
    reading, rows = read_text(tmp_path, text)
    assert (reading.lines, reading.control, reading.events, reading.unreadable) == (4, 2, 2, 0)
    assert (reading.complete, reading.group_status, reading.problems) == (True, "PART", [])
    assert [(row["level"], row["status"], row["status_text"]) for row in rows] == [
        ("GRP", None, "PART"),
        ("TX", "RJCT", "RJCT"),
        ("TX", "ACSC", "ACSC"),
        ("PMTINF", None, "PART"),
    ]
    assert rows[1] == {
        "line": 2,
        "level": "TX",
        "status": "RJCT",
        "status_text": "RJCT",
        "reason_code": "AC04",
        "reason_text": "X1 closed long ago",
        "end_to_end_id": "REF1",
        "original_file": None,
        "original_msg_id": "0123456789abcdef01234567",
        "original_sequence": None,
        "amount_minor": 7254,
        "currency": "EUR",
        "direction": None,
        "requested_date": date(2026, 3, 2),
        "creditor_account": "FR1420041010050500013M02606",
        "acquirer_reference": "AQ1",
        "stated_at": datetime(2026, 3, 2, 7, tzinfo=UTC),
        "error": None,
    }


def test_bank_sample_rejecting_a_group() -> None:
    """A real report that refuses a whole message: one control row, its reason, no event."""
    reading, rows = read(DATA / "formats" / "pain.002" / "iso20022.js__nordea_pain_002_v3_group_reject.xml")
    assert (reading.lines, reading.control, reading.events) == (1, 1, 0)
    assert (reading.group_status, reading.group_reason) == ("RJCT", "DU01")
    assert reading.original_msg_id == "MSGID-PS-TEST-0708-01"
    assert (rows[0]["status"], rows[0]["reason_text"]) == ("RJCT", "ISO Duplicate Message ID")
    assert rows[0]["stated_at"] == datetime(2015, 8, 10, 10, 19, 9, tzinfo=UTC)
    assert (reading.complete, reading.problems) == (True, [])


def test_bank_sample_rejecting_a_payment_information() -> None:
    """A real report without group status that rejects a whole payment information: it does not pass silently."""
    reading, rows = read(DATA / "formats" / "pain.002" / "iso20022.js__nordea_pain_002_v3_payment_reject.xml")
    assert [(row["level"], row["status"], row["reason_code"]) for row in rows] == [
        ("GRP", None, None),
        ("PMTINF", "RJCT", "NARR"),
    ]
    assert reading.group_status is None
    assert [each.kind for each in reading.problems] == [MismatchKind.FILE_REFUSED]


@pytest.mark.parametrize("version", ["pain.002.001.03", "pain.002.001.10", "pain.002.001.14", "urn:made:up"])
@pytest.mark.parametrize("attribute", ["xmlns", "Xmlns"])
def test_any_namespace_or_none(tmp_path: Path, version: str, attribute: str) -> None:
    """Elements are known by their local names: another version, another namespace or none changes nothing."""
    _, expected = read_text(tmp_path, report(payment()))
    _, rows = read_text(tmp_path, report(payment(), space=version).replace("xmlns=", f"{attribute}="))
    assert rows == expected
    _, rows = read_text(
        tmp_path,
        report(payment()).replace("<", "<p:").replace("<p:/", "</p:").replace("xmlns", "xmlns:p").replace("<p:?", "<?"),
    )
    assert rows == expected


def test_version_02_layout(tmp_path: Path) -> None:
    """The oldest layout, payments directly below the message and longer names for reasons, is read too."""
    body = payment(more="<StsRsnInf><AddtlStsRsnInf>closed</AddtlStsRsnInf></StsRsnInf>").replace("<Rsn>", "<StsRsn>")
    text = report().replace("CstmrPmtStsRpt", "pain.002.001.02")
    text = text.replace("</pain.002.001.02>", body.replace("</Rsn>", "</StsRsn>") + "</pain.002.001.02>")
    reading, rows = read_text(tmp_path, text)
    assert (reading.events, rows[1]["reason_code"], rows[1]["reason_text"]) == (1, "AC04", "closed")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (payment(status="OKAY"), "unknown status"),
        (payment(status="PART"), "unknown status"),
        (payment(status=""), "status is missing"),
        (payment(reference=""), "payment reference is missing"),
        (payment(reference="NOTPROVIDED"), "payment reference is missing"),
        (payment(more="<OrgnlTxRef><Amt><InstdAmt>1</InstdAmt></Amt></OrgnlTxRef>"), "amount has no currency"),
        (
            payment(more="<OrgnlTxRef><Amt><InstdAmt Ccy='EUROS'>1</InstdAmt></Amt></OrgnlTxRef>"),
            "currency is not in ISO 4217",
        ),
        (payment(more="<OrgnlTxRef><ReqdExctnDt>soon</ReqdExctnDt></OrgnlTxRef>"), "requested_date cannot be read"),
    ],
)
def test_bad_payment_costs_only_itself(tmp_path: Path, body: str, error: str) -> None:
    """A payment that cannot be read is kept as a row with its error; its neighbours are events."""
    reading, rows = read_text(tmp_path, report(payment("A"), body, payment("B")))
    assert [row["error"] for row in rows] == [None, None, error, None]
    assert (reading.events, reading.unreadable) == (2, 1)
    assert [each.kind for each in reading.problems] == [MismatchKind.FILE_UNREADABLE]


def test_unknown_group_status_is_never_an_acceptance(tmp_path: Path) -> None:
    """A group status that we do not know is unreadable and leaves the file without one."""
    reading, rows = read_text(tmp_path, report(group="<GrpSts>FINE</GrpSts>"))
    assert (reading.group_status, reading.unreadable, rows[0]["error"]) == (None, 1, "unknown status")


CLAIM = "<NbOfTxsPerSts><DtldNbOfTxs>{}</DtldNbOfTxs><DtldSts>{}</DtldSts><DtldCtrlSum>{}</DtldCtrlSum></NbOfTxsPerSts>"
PRICED = "<OrgnlTxRef><Amt><InstdAmt Ccy='EUR'>1.10</InstdAmt></Amt></OrgnlTxRef>"


@pytest.mark.parametrize(
    ("claims", "kinds"),
    [
        (CLAIM.format(2, "RJCT", "2.2000") + CLAIM.format(98, "ACSC", "500"), []),
        (CLAIM.format(3, "RJCT", "3.30"), [MismatchKind.COUNT_DIFFERS]),
        (CLAIM.format(2, "RJCT", "2.21"), [MismatchKind.SUM_DIFFERS]),
        (CLAIM.format(2, "OKAY", "2.21"), []),
    ],
)
@pytest.mark.parametrize("level", ["group", "batch"])
def test_counts_per_status_are_compared(tmp_path: Path, level: str, claims: str, kinds: list[MismatchKind]) -> None:
    """A status that is listed is listed whole, by number and sum; a status that is only counted is no contradiction."""
    places = {"group": "<GrpSts>PART</GrpSts>", "batch": ""}
    places[level] += claims
    reading, _ = read_text(tmp_path, report(payment("A", more=PRICED), payment("B", more=PRICED), **places))
    assert [each.kind for each in reading.problems] == kinds


def test_counted_rejections_must_be_listed(tmp_path: Path) -> None:
    """Rejections that are counted but not listed beside other payments are a difference."""
    reading, _ = read_text(tmp_path, report(payment("A", "ACSC"), batch=CLAIM.format(1, "RJCT", "1")))
    assert [each.kind for each in reading.problems] == [MismatchKind.COUNT_DIFFERS]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not well-formed"),
        (b"RH,TIEOUT1", "not well-formed"),
        (report(payment())[:-40].encode(), "not well-formed"),
        (report(payment()).replace("REF1", "RE\0F1").encode(), "not well-formed"),
        (report(payment()).replace("REF1", "Müller").encode("latin-1"), "not well-formed"),
        (report(payment()).replace("REF1", "&unknown;").encode(), "not well-formed"),
        (report(payment()).replace("<Document", "<!DOCTYPE Document><Document").encode(), "DOCTYPE"),
        (
            report(payment()).replace("<Document", "<!DOCTYPE D SYSTEM 'file:///etc/passwd'><Document").encode(),
            "DOCTYPE",
        ),
        (report(payment(more="<a>" * 100_000)).encode(), "nested deeper"),
        (report(payment(more="<a>" + "x" * 70_000 + "</a>")).encode(), "a text of more than"),
        (report(payment(more="<a>x</a>" * 2_000)).encode(), "more than 1000 values"),
        (report(payment(more=f"<{'a' * 2_000}/>")).encode(), "names of its elements"),
        (report(payment()).replace("CstmrPmtStsRpt", "FIToFIPmtStsRpt").encode(), "not a pain.002"),
        (b"<Document/>", "not a pain.002"),
    ],
)
def test_no_report_at_all(tmp_path: Path, content: bytes, why: str) -> None:
    """Bytes that are not such a report are refused as a whole, with ISO 20022 reason FF01."""
    with pytest.raises(Unreadable, match=f"FF01.*{why}"):
        read_text(tmp_path, content)


@pytest.mark.parametrize("path", sorted((DATA / "formats" / "known-bad").iterdir()), ids=lambda path: path.stem)
def test_known_bad_files_are_refused(path: Path) -> None:
    """Each of the files made bad on purpose, and each message of another kind, is refused without quoting it."""
    with pytest.raises(Unreadable, match="FF01") as caught:
        read(path)
    assert caught.value.__cause__ is None
    assert "Musterfirma" not in str(caught.value)


def test_second_group_is_not_believed(tmp_path: Path) -> None:
    """A report about two messages cannot say which payments belong to which: the second group is unreadable."""
    text = report(group="<GrpSts>ACTC</GrpSts>").replace(
        "</CstmrPmtStsRpt>",
        "<OrgnlGrpInfAndSts><OrgnlMsgId>OTHER</OrgnlMsgId><GrpSts>RJCT</GrpSts></OrgnlGrpInfAndSts></CstmrPmtStsRpt>",
    )
    reading, rows = read_text(tmp_path, text)
    assert (reading.group_status, reading.original_msg_id) == ("ACTC", "0123456789abcdef01234567")
    assert rows[1]["error"] == "a second group in one report"


def test_report_about_nothing_is_flagged(tmp_path: Path) -> None:
    """A report that names no original message is readable, but flagged."""
    reading, _ = read_text(tmp_path, "<Document><CstmrPmtStsRpt/></Document>")
    assert (reading.lines, [each.kind for each in reading.problems]) == (0, [MismatchKind.FILE_UNREADABLE])


def test_memory_stays_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the payments take no more memory: nothing of the file is kept behind its rows."""
    monkeypatch.setattr(pain002, "BLOCK_BYTES", 16 * 1024)
    monkeypatch.setattr(pain002, "ROWS_PER_BATCH", 200)
    peaks = []
    for count in (1_000, 10_000):
        path = tmp_path / f"{count}.xml"
        path.write_text(report(*(payment(f"REF{n}") for n in range(count))))
        tracemalloc.start()
        reading = read_result("pain.002", path)
        rows = sum(each.num_rows for each in reading)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert rows == count + 1
    assert peaks[1] < 1.5 * peaks[0]


def test_creation_time_that_cannot_be_read(tmp_path: Path) -> None:
    """Without a creation time the events have no time of their own: they are kept, and the file is flagged."""
    reading, rows = read_text(tmp_path, report(payment()).replace("2026-03-02T07:00:00Z", "this morning"))
    assert (rows[1]["stated_at"], rows[1]["error"]) == (None, None)
    assert [each.kind for each in reading.problems] == [MismatchKind.FILE_UNREADABLE]


def test_message_that_is_not_provided(tmp_path: Path) -> None:
    """A report that says NOTPROVIDED for our message names none."""
    reading, rows = read_text(tmp_path, report(payment()).replace("0123456789abcdef01234567", "NOTPROVIDED"))
    assert (reading.original_msg_id, rows[1]["original_msg_id"]) == (None, None)
