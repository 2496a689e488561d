"""Result files that come encrypted, signed or compressed: read whole and believed, or set aside whole and read again later."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from payments.config_results import Results, ResultsPgp, Signer
from payments.errors import WrongConfiguration
from payments.keys import day_chain, reported_key
from payments.records import ResultFile
from reconciliation.certificate import Certificate
from reconciliation.prove_wrapped import prove_wrapped_result
from runtime.ledger.audit import audit_records
from tests.servers.pgp_keys import PgpRing, needs_gpg, pgp_ring
from tests.unit.reconciliation.reconcile_texts import Pay, ack, results, say
from tests.unit.reconciliation.reconcile_world import DAY, DUE, World, acquirer

pytestmark = needs_gpg
PAYMENTS = [Pay("A"), Pay("B", 200, "USD", "DBIT"), Pay("C", 3)]
ALL = [say(each) for each in PAYMENTS]
Make = Callable[..., World]


@pytest.fixture(scope="module")
def ring() -> Iterator[PgpRing]:
    with pgp_ring() as made:
        yield made


def pgp(ring: PgpRing, *signers: str, **other: Any) -> ResultsPgp:
    signer = [Signer(fingerprint=ring.fingerprints[each], key=f"env:{each}") for each in signers or ("bank",)]
    plain: dict[str, Any] = {"keys": ["env:ours-secret"], "passphrase": "env:phrase", "signer": signer}
    return ResultsPgp(**(plain | other))


def wrapped(ring: PgpRing, *layers: Any, **other: Any) -> Results:
    settings: dict[str, Any] = {
        "unwrap": list(layers or ("pgp",)),
        "pgp": pgp(ring),
        "due_after_s": int(DUE.total_seconds()),
    }
    return Results(**(settings | other))


@pytest.fixture
def sealed(make: Make, ring: PgpRing) -> World:
    world = make(results=wrapped(ring))
    world.secrets = ring
    return world


def audited(world: World, act: str) -> list[dict[str, Any]]:
    with world.sql.begin() as tx:
        found = [each for each in audit_records(tx.connection, day_chain("northbank", DAY)) if each.act == act]
    return [json.loads(each.body) for each in found]


def test_signed_and_encrypted_answers_are_read_and_the_signature_is_audited(make: Make, ring: PgpRing) -> None:
    """Compressed, signed and encrypted, an acknowledgement and results settle the file; the raw bytes and the verdict are kept."""
    world = make(results=wrapped(ring, "pgp", "gzip"))
    world.secrets = ring
    sent = world.send(PAYMENTS)
    world.take("f.ack.gz.pgp", ring.message(gzip.compress(ack(sent).encode())))
    assert world.file(sent).state == "acknowledged"
    data = ring.message(gzip.compress(results(sent, ALL).encode()))
    kept = world.result(world.take("f.result.1.gz.pgp", data))
    assert (world.file(sent).state, world.counts(sent), world.kinds()) == ("reconciled", (3, 0, 0), [])
    assert world.files.get(kept.key) == data
    assert (kept.signed_by, kept.number) == (ring.fingerprints["bank"], 1)
    assert {each["signed_by"] for each in audited(world, "read")} == {ring.fingerprints["bank"]}
    assert list((world.folder / "spool").iterdir()) == [world.folder / "spool" / "expected"]


@pytest.mark.parametrize("how", ["unsigned", "a stranger", "to others", "plain", "cut off", "bomb"])
def test_what_cannot_be_believed_is_set_aside_whole(sealed: World, ring: PgpRing, how: str) -> None:
    """The file is unreadable with an alarm, none of its lines is used, and a file beside it is read all the same."""
    sent, other = sealed.send(PAYMENTS), sealed.send([Pay("D")], sequence=2)
    text = results(sent, ALL).encode()
    data = {
        "unsigned": lambda: ring.message(text, signer=""),
        "a stranger": lambda: ring.message(text, signer="other"),
        "to others": lambda: ring.message(text, to="other"),
        "plain": lambda: text,
        "cut off": lambda: ring.message(text)[:-20],
        "bomb": lambda: ring.message(bytes(9 << 20), more=("-z", "9")),
    }[how]()
    bad = sealed.collect("f.result.1.pgp", data)
    sealed.take("g.result.1.pgp", ring.message(results(other, [say(Pay("D"))]).encode()))
    assert (sealed.counts(sent), sealed.counts(other), sealed.kinds()) == ((0, 0, 3), (1, 0, 0), ["file_unreadable"])
    kept = sealed.result(bad)
    assert (kept.state, kept.lines, kept.unreadable, kept.signed_by) == ("unreadable", 1, 1, "")
    assert not sealed.files.exists(reported_key("northbank", DAY, bad.sha256))


def requeued(world: World, result: ResultFile) -> None:
    """What `tieout requeue` does in the ledger."""
    found = world.result(result)
    with world.sql.begin() as tx:
        tx.results.change(
            found, state="collected", lines=0, unreadable=0, reported_sha256="", note="", reconciled=False
        )


def test_with_corrected_keys_it_is_read_again(sealed: World, ring: PgpRing) -> None:
    """Set aside for a signer nobody pinned, then for the same reason again, it is read once the key is pinned; its alarm ends."""
    sent = sealed.send(PAYMENTS)
    result = sealed.take("f.result.1.pgp", ring.message(results(sent, ALL).encode(), signer="other"))
    requeued(sealed, result)
    sealed.work()
    assert (sealed.result(result).state, sealed.kinds()) == ("unreadable", ["file_unreadable"])
    sealed.acquirer = acquirer(results=wrapped(ring, pgp=pgp(ring, "bank", "other")))
    requeued(sealed, result)
    sealed.work()
    assert (sealed.counts(sent), sealed.kinds()) == ((3, 0, 0), [])
    assert [each.state for each in sealed.mismatches(is_open=False)] == ["closed_by_late_result"]
    sealed.read(result)
    assert sealed.result(result).signed_by == ring.fingerprints["other"]


def test_without_our_keys_the_file_waits(sealed: World, ring: PgpRing) -> None:
    """A secret that is missing is our mistake: nothing is set aside, and the file is read when the secret is there."""
    sent = sealed.send(PAYMENTS)
    result = sealed.collect("f.ack.pgp", ring.message(ack(sent).encode()))
    sealed.acquirer = acquirer(results=wrapped(ring, pgp=pgp(ring, keys=["env:lost"])))
    with pytest.raises(WrongConfiguration, match="env:lost"):
        sealed.read(result)
    assert (sealed.result(result).state, sealed.mismatches()) == ("collected", [])
    sealed.acquirer = acquirer(results=wrapped(ring))
    sealed.work()
    assert sealed.file(sent).state == "acknowledged"


@pytest.mark.parametrize("name", ["f.result.1.pgp", "f.result.2.pgp"])
def test_the_same_text_encrypted_twice_is_used_once(sealed: World, ring: PgpRing, name: str) -> None:
    """Other bytes, one content: no event is applied twice, no alarm is raised, and the second one points to the first."""
    sent = sealed.send(PAYMENTS)
    text = results(sent, ALL).encode()
    first = sealed.take("f.result.1.pgp", ring.message(text))
    second = sealed.take(name, ring.message(text))
    assert first.sha256 != second.sha256
    assert (sealed.counts(sent), sealed.kinds()) == ((3, 0, 0), [])
    assert (sealed.result(second).state, first.sha256[:12] in sealed.result(second).note) == ("duplicate", True)
    assert sealed.statement().incoming["events"] == 3


def test_two_workers_reading_the_same_text_at_once_apply_it_once(
    sealed: World, ring: PgpRing, monkeypatch: Any
) -> None:
    """Where neither worker sees the other's record, the events are told apart by what they say, and the second are duplicates."""
    monkeypatch.setattr("reconciliation.read.twin_of", lambda *_: None)
    sent = sealed.send(PAYMENTS)
    text = results(sent, ALL).encode()
    sealed.collect("f.result.1.pgp", ring.message(text))
    sealed.collect("g.result.1.pgp", ring.message(text))
    sealed.work()
    assert (sealed.counts(sent), sealed.file(sent).state) == ((3, 0, 0), "reconciled")
    incoming = sealed.statement().incoming
    assert (incoming["applied"], incoming["duplicate"]) == (3, 3)


def signed_acks(ring: PgpRing) -> Results:
    """Acknowledgements come signed, lists of results do not."""
    return wrapped(ring, unwrap_names=["*.pgp"], pgp=pgp(ring, keys=[], passphrase=""), evidence="signed")


@pytest.mark.parametrize("state", ["delivering", "in_doubt", "delivered"])
def test_only_a_signed_acknowledgement_is_evidence(make: Make, ring: PgpRing, state: str) -> None:
    """Unsigned, it moves nothing and is an alarm; signed, it ends the doubt, is audited with its signer, and ends the alarm."""
    world = make(results=signed_acks(ring))
    world.secrets = ring
    sent = world.send(PAYMENTS, state=state)
    for status in ("RJCT", "ACTC"):
        unsigned = world.take(f"f.{status}.ack", ack(sent, status))
        assert (world.file(sent).state, "not signed" in world.result(unsigned).disputed) == (state, True)
    assert world.kinds() == ["file_unreadable", "file_unreadable"]
    world.take("f.ack.pgp", ring.message(ack(sent).encode(), to=""))
    assert (world.file(sent).state, world.kinds()) == ("acknowledged", [])
    with world.sql.begin() as tx:
        told = [
            str(each.body)
            for each in audit_records(tx.connection, f"file:{sent.file_id}")
            if each.act == "acknowledged"
        ]
    assert ring.fingerprints["bank"] in told[0]


def test_unsigned_results_settle_payments_and_end_no_doubt(make: Make, ring: PgpRing) -> None:
    """Where only acknowledgements are signed, a plain list is read for its payments, and is no evidence that the file arrived."""
    world = make(results=signed_acks(ring))
    world.secrets = ring
    sent = world.send(PAYMENTS, state="in_doubt")
    world.take("f.result.1", results(sent, ALL))
    assert (world.file(sent).state, world.file(sent).matched.count, world.kinds()) == ("in_doubt", 3, [])
    world.take("f.ack.pgp", ring.message(ack(sent).encode(), to=""))
    assert world.file(sent).state == "reconciled"


def proved(world: World, result: ResultFile, settings: Results, secrets: Any) -> Certificate:
    certificate = Certificate("x")
    prove_wrapped_result(certificate, world.store, world.result(result), acquirer(results=settings), secrets)
    return certificate


def test_a_proof_goes_through_the_wrapping(sealed: World, ring: PgpRing) -> None:
    """With the keys the content, its signature and its rows are proved again; without them the certificate says so."""
    sent = sealed.send(PAYMENTS)
    result = sealed.take("f.result.1.pgp", ring.message(results(sent, ALL).encode()))
    certificate = proved(sealed, result, wrapped(ring), ring)
    assert certificate.failed == []
    checks = {check.what: check.found for check in certificate.checks}
    assert checks["signed by"] == ring.fingerprints["bank"]
    assert checks["rows that differ when its content is read again"] == 0
    for settings, secrets in ((wrapped(ring), None), (wrapped(ring, pgp=pgp(ring, keys=["env:lost"])), ring)):
        blind = proved(sealed, result, settings, secrets)
        assert [(check.what, check.found) for check in blind.checks] == [("content of its wrapping", "not opened")]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"content_sha256": "0" * 64}, "SHA-256 of its content"),
        ({"signed_by": "F" * 40}, "signed by"),
        ({"signed_at": None}, "signed at"),
    ],
)
def test_a_proof_finds_what_the_ledger_was_changed_to(
    sealed: World, ring: PgpRing, change: dict[str, Any], what: str
) -> None:
    """A record that claims another content or another signer than the stored bytes hold does not tie."""
    sent = sealed.send(PAYMENTS)
    result = sealed.take("f.result.1.pgp", ring.message(results(sent, ALL).encode()))
    recorded = sealed.result(result)
    with sealed.sql.begin() as tx:
        tx.results.change(recorded, **change)
    assert [check.what for check in proved(sealed, result, wrapped(ring), ring).failed] == [what]
