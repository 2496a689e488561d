"""The whole path to an acquirer written in Java, JDK only, that takes its files from an OpenSSH server."""

from __future__ import annotations

import pwd
import shlex
import sys
from pathlib import Path

import pytest
from lxml import etree

from payments.states import FileState, MismatchKind
from tests.interop import chroot
from tests.interop.java_world import ROWS, JavaWorld, java_world
from tests.servers import openssh

pytestmark = pytest.mark.skipif(openssh.sshd() is None, reason=openssh.MISSING)

OUTCOME_OF_DECISION = {
    "confirmed": ("matched", "matched"),
    "rejected": ("mismatched", str(MismatchKind.STATUS_REJECTED)),
    "amount_changed": ("mismatched", str(MismatchKind.AMOUNT_DIFFERS)),
}
PAIN_002 = Path(__file__).parents[1] / "data" / "xsd" / "pain.002.001.12.xsd"
SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server")


def loses_a_reply(folder: Path, request: str, how: str = "dies") -> dict[str, str]:
    """What makes sshd lose the answer to the first such request; it leaves the file `lost` in the folder.

    `how`: the link `dies` or goes `silent`.
    """
    server = next((path for path in SFTP_SERVERS if Path(path).exists()), None)
    if server is None:
        pytest.skip("OpenSSH's sftp-server is missing as a program of its own")
    script = Path(__file__).with_name("lost_reply.py")
    words = (sys.executable, "-I", "-S", str(script), server, str(folder / "root"), str(folder / "lost"), request, how)
    # Without `exec` a shell would be the parent, and not the session that is to die.
    return {"ForceCommand": f"exec {shlex.join(words)}"}


def prove_valid(answers: Path) -> None:
    """What Java wrote is valid: version 12 has all elements that it uses of version 10."""
    schema = etree.XMLSchema(file=str(PAIN_002))
    for path in answers.iterdir():
        schema.assertValid(etree.fromstring(path.read_bytes().replace(b"pain.002.001.10", b"pain.002.001.12")))


def prove_handed_over(world: JavaWorld, files: int) -> None:
    """Each file was taken once, with the bytes that the ledger sealed and the receipt claims; nothing else is left or came."""
    took, receipts = world.java.took(), world.receipts()
    sealed = {file.name: (file.file_id, file.sha256) for file in world.at.files()}
    assert len(sealed) == files
    assert sorted(each["file"] for each in took) == sorted(sealed)
    assert {each["file"]: (each["message_id"], each["sha256"]) for each in took} == sealed
    assert {name: receipt.sha256 for name, receipt in receipts.items()} == {
        name: digest for name, (_, digest) in sealed.items()
    }
    assert world.inbox() == []


def prove_reconciled(world: JavaWorld, payments: int) -> None:
    """Every decision of Java's is the outcome of that payment, with its code and amount, and the books tie."""
    decided = {payment["reference"]: payment for each in world.java.took() for payment in each["payments"]}
    assert len(decided) == payments
    wanted = {
        reference: (*OUTCOME_OF_DECISION[each["decision"]], each["code"] or None, each["currency"])
        for reference, each in decided.items()
    }
    outcomes = world.outcomes()
    assert wanted == {
        reference: (row["outcome"], row["how"], row["reason_code"], row["reported_currency"])
        for reference, row in outcomes.items()
    }
    # Digits without their point are minor units here: Java reports the decimals that it was sent.
    said = {reference: int(each["reported"].replace(".", "")) for reference, each in decided.items()}
    assert said == {reference: row["reported_minor"] for reference, row in outcomes.items()}
    differing = {reference: kind for reference, (outcome, kind, *_) in wanted.items() if outcome == "mismatched"}
    assert {each.reference: each.kind for each in world.mismatches()} == differing
    assert set(differing.values()) == {str(MismatchKind.STATUS_REJECTED), str(MismatchKind.AMOUNT_DIFFERS)}
    books = world.books()
    assert books["ties"] is True, books["faults"]
    assert books["delivered"]["count"] == payments
    assert books["incoming"]["events"] == books["incoming"]["applied"] == payments


def test_java_takes_every_file_once_and_each_of_its_decisions_comes_back(tmp_path: Path, java_classes: Path) -> None:
    """Java takes each file once with the hash of its receipt, and what it decided is what Tieout shows."""
    with (
        openssh.openssh_server(tmp_path) as account,
        java_world(tmp_path, account, java_classes) as world,
        world.java.watching(),
    ):
        world.extract()
        world.java.await_taken(3)
        world.collect()
        prove_handed_over(world, 3)
        assert world.unfinished() == []
        prove_reconciled(world, ROWS)
        prove_valid(account.root / "outbox")
        # The same poll again, and another extraction: nothing is taken, sent or counted twice.
        before = world.books()
        world.extract()
        world.collect()
        assert (world.books(), len(world.java.took())) == (before, 3)


@pytest.mark.parametrize(
    ("how", "archives"),
    [("dies", False), ("dies", True), ("silent", False)],
    ids=["out of sight", "into the archive", "silent, out of sight"],
)
def test_a_file_taken_while_the_answer_to_its_rename_is_lost_is_never_sent_again(
    tmp_path: Path, java_classes: Path, how: str, archives: bool
) -> None:
    """T5: found in the archive it is delivered, else in doubt until Java's acknowledgement; either way Java takes one file."""
    with openssh.openssh_server(tmp_path, more=loses_a_reply(tmp_path, "rename", how)) as account:
        work = account.root / "archive" if archives else None
        asked = {"rows": 20, "archive": "archive" if archives else "", "acknowledgements_only": True}
        asked |= {"channel_timeout_s": 3} if how == "silent" else {}
        with java_world(tmp_path, account, java_classes, work=work, **asked) as world, world.java.watching():
            world.extract()
            world.java.await_taken(1)
            assert (tmp_path / "lost").exists()
            assert [file.state for file in world.at.files()] == [FileState.DELIVERING]
            world.later_attempts()
            assert [file.state for file in world.at.files()] == [
                FileState.DELIVERED if archives else FileState.IN_DOUBT
            ]
            assert len(world.receipts()) == archives
            world.collect()
            world.later_attempts()
            [file] = world.at.files()
            assert file.state == FileState.ACKNOWLEDGED
            [taken] = world.java.took()
            assert (taken["file"], taken["sha256"]) == (file.name, file.sha256)
            assert world.inbox() == []
            assert world.books()["ties"] is True


@pytest.mark.parametrize("request_lost", ["open", "write", "close"])
def test_a_link_that_dies_during_the_upload_leaves_java_one_whole_file(
    tmp_path: Path, java_classes: Path, request_lost: str
) -> None:
    """T4: Java watches all the time, sees nothing of the broken attempt, and takes the file of the next one."""
    with (
        openssh.openssh_server(tmp_path, more=loses_a_reply(tmp_path, request_lost)) as account,
        java_world(tmp_path, account, java_classes, rows=20) as world,
        world.java.watching(),
    ):
        world.extract()
        assert (tmp_path / "lost").exists()
        assert [file.state for file in world.at.files()] == [FileState.SEALED]
        # What is left of the attempt has a name that nobody takes.
        assert (world.inbox(), world.java.took()) == ([], [])
        world.later_attempts()
        world.java.await_taken(1)
        world.collect()
        prove_handed_over(world, 1)
        prove_reconciled(world, 20)


def flip(path: Path, before: bytes, offset: int, bit: int) -> None:
    """Change one bit: that of the byte `offset` behind the start of the last occurrence of `before`."""
    data = bytearray(path.read_bytes())
    data[data.rindex(before) + offset] ^= bit
    path.write_bytes(data)


def test_a_file_damaged_in_the_inbox_is_refused_by_java_and_shown_as_refused(
    tmp_path: Path, java_classes: Path
) -> None:
    """One bit changed behind our back: Java's parser, schema or sums refuse the file, and each is a file_refused."""
    with openssh.openssh_server(tmp_path) as account, java_world(tmp_path, account, java_classes) as world:
        world.extract()
        first, second, third = (account.root / "inbox" / name for name in world.inbox())
        flip(first, b"</GrpHdr>", 0, 0x01)  # no longer well-formed
        flip(second, b' Ccy="EUR"', 6, 0x20)  # eUR is no currency by the schema
        flip(third, b".37</InstdAmt>", 2, 0x01)  # one cent less is valid, and the control sum does not add up
        with world.java.watching():
            took = world.java.await_taken(3)
        codes = {first.name: "FF01", second.name: "FF01", third.name: "AM10"}
        assert {each["file"]: each["code"] for each in took} == codes
        prove_valid(account.root / "outbox")
        world.collect()
        files = {file.file_id: file for file in world.at.files()}
        assert {each.state for each in files.values()} == {FileState.REFUSED}
        shown = {files[each.file_id].name: (each.kind, each.detail["reason_code"]) for each in world.mismatches()}
        assert shown == {name: (str(MismatchKind.FILE_REFUSED), code) for name, code in codes.items()}
        # The receipt says what was placed, and so proves that the damage was done behind it.
        assert all(world.receipts()[each["file"]].sha256 != each["sha256"] for each in took)
        assert world.books()["refused"]["count"] == ROWS
        assert world.books()["ties"] is True
        # Nothing goes out again until two people say so.
        world.later_attempts()
        assert world.inbox() == []


def test_java_takes_no_message_twice_and_what_it_says_of_a_copy_is_loud(tmp_path: Path, java_classes: Path) -> None:
    """A copy under the old or a new name is refused even after a restart; Tieout shows a refusal, ties, and sends nothing."""
    with (
        openssh.openssh_server(tmp_path) as account,
        java_world(tmp_path, account, java_classes, rows=30) as world,
    ):
        with world.java.watching():
            world.extract()
            [taken] = world.java.await_taken(1)
            world.collect()
        assert world.mismatches()
        original = (world.java.work / taken["taken_as"]).read_bytes()
        for name in ("a_copy.xml", taken["file"]):
            (account.root / "inbox" / name).write_bytes(original)
        with world.java.watching():
            copies = world.java.await_taken(3)[1:]
        assert {each["file"]: each["code"] for each in copies} == {"a_copy.xml": "DU01", taken["file"]: "AM05"}
        assert not any(each["payments"] for each in copies)
        world.collect()
        books = world.books()
        assert (books["ties"], books["agrees"]) == (True, False)
        assert books["mismatches_by_kind"]["file_refused"] == 1
        settled = sum(each["decision"] != "rejected" for each in taken["payments"])
        assert books["mismatches_by_kind"]["settled_after_redelivery"] == settled
        world.later_attempts()
        assert (world.inbox(), len(world.at.files())) == ([], 1)


@pytest.mark.skipif(chroot.parent() is None, reason=chroot.IMPOSSIBLE)
def test_an_ordinary_account_in_a_chroot_is_enough(tmp_path: Path, java_classes: Path) -> None:
    """The whole path ties where the account is not root, sees nothing but its own directory and may do SFTP only."""
    with (
        chroot.chrooted_server() as account,
        java_world(tmp_path, account, java_classes) as world,
        world.java.watching(),
    ):
        world.extract()
        world.java.await_taken(3)
        world.collect()
        prove_handed_over(world, 3)
        prove_reconciled(world, ROWS)
        assert {receipt.remote_path.partition("/")[0] for receipt in world.receipts().values()} == {"inbox"}
        owner = pwd.getpwnam(chroot.ACCOUNT).pw_uid
        assert {path.stat().st_uid for path in world.java.work.iterdir()} == {owner}
