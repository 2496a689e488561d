"""What a certificate and a trace say of objects that expired: neither that they hold nor that they were lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from payments.records import OutboundFile
from reconciliation.certificate import Certificate, Check
from reconciliation.prove import ProvePorts, prove
from reconciliation.trace import TracePorts, trace_payment
from runtime.wiring import World
from tests.servers.deletion_notices import BY_HAND, LIFECYCLE, deletion_notice
from tests.servers.finished_demo import copied_demo
from tieout.__main__ import main
from tieout.prove import report

DAY = "2027-06-01"
RUN = "legacy/000001"


@pytest.fixture
def demo(demo_dir: Path, tmp_path: Path) -> Path:
    return copied_demo(demo_dir, tmp_path / "demo")


def opened(folder: Path) -> World:
    return World.open(str(folder / "tieout.toml"))


def take(folder: Path, pattern: str, reason: str = LIFECYCLE) -> list[str]:
    """Remove every object that fits, and tell the ledger as S3 would."""
    world, store = opened(folder), folder / "store"
    taken = sorted(path for path in store.glob(pattern) if path.is_file())
    assert taken
    for path in taken:
        path.unlink()
        world.record_deletion(deletion_notice(str(path.relative_to(store)), reason=reason))
    world.ledger.engine.dispose()
    return [str(path.relative_to(store)) for path in taken]


def certificate_of(folder: Path, name: str) -> Certificate:
    world = opened(folder)
    found, _ = prove(ProvePorts(world.ledger, world.store, world.configuration), name)
    world.ledger.engine.dispose()
    return found


def first_file(folder: Path) -> OutboundFile:
    world = opened(folder)
    with world.ledger.look() as tx:
        found = next(each for each in tx.files.find(order="name") if each.name.endswith("_000001_1.csv"))
    world.ledger.engine.dispose()
    return found


def by_what(certificate: Certificate, subject: str) -> dict[str, Any]:
    return {check.what: check for check in certificate.checks if check.subject == subject}


def test_a_run_whose_raw_rows_expired_is_not_certified(demo: Path) -> None:
    """What was computed from them says when they expired; everything else is computed as before, and nothing fails."""
    keys = take(demo, "raw/legacy/*/000001/*")
    certificate = certificate_of(demo, RUN)
    assert not certificate.ties
    assert certificate.failed == []
    assert sorted(certificate.expired) == keys
    of_run = by_what(certificate, f"run {RUN}")
    assert {what for what, check in of_run.items() if check.expired} == {
        "extracted",
        "extracted = curated + quarantined",
    }
    assert of_run["curated"].holds
    assert of_run["extracted"].found == f"not computed: what it needs expired, the last on {DAY}"
    assert by_what(certificate, keys[0])["SHA-256"].found == f"expired on {DAY}"
    shown = certificate.to_json()
    assert (shown["ties"], shown["failed"], shown["unproven"]) == (False, 0, len(certificate.unproven))
    assert set(shown["expired"]) == set(keys)


@pytest.mark.parametrize(
    ("pattern", "name_of", "unproven"),
    [
        ("quarantine/legacy/*/000001/*", lambda _: RUN, {"quarantined", "extracted = curated + quarantined"}),
        ("outbound/northbank/*/{0}/*", lambda file: file.name, set()),
        ("manifests/northbank/*/{0}.json", lambda file: file.name, set()),
        (
            "matched/northbank/*/{0}/*",
            lambda file: file.name,
            {"matched", "mismatched", "awaiting", "payments = matched + mismatched + awaiting"},
        ),
        ("results/northbank/*/*/*_000001_1.csv.*", lambda file: file.name, set()),
        ("expected/northbank/*/{0}.parquet", lambda file: file.name, set()),
        ("index/00000001.parquet", lambda file: file.name, set()),
    ],
)
def test_whatever_expired_is_neither_proved_nor_lost(
    demo: Path, pattern: str, name_of: Callable[[OutboundFile], str], unproven: set[str]
) -> None:
    """No check that needs it holds, none fails, and the other checks are made."""
    file = first_file(demo)
    whole = certificate_of(demo, name_of(file))
    keys = take(demo, pattern.format(file.file_id))
    certificate = certificate_of(demo, name_of(file))
    assert certificate.failed == []
    assert not certificate.ties
    assert set(certificate.expired) <= set(keys)
    assert unproven <= {check.what for check in certificate.unproven}
    assert {check.subject for check in certificate.unproven} <= {*keys, *{c.subject for c in whole.checks}}
    held = {(check.subject, check.what) for check in certificate.checks if check.holds}
    assert held
    assert held <= {(check.subject, check.what) for check in whole.checks}


def test_what_expired_never_holds() -> None:
    """Not even where what was found happens to look like what was recorded."""
    certificate = Certificate("x", [Check("a", "b", "same", "same", expired=True)])
    assert (certificate.ties, certificate.failed, len(certificate.unproven)) == (False, [], 1)


def test_what_somebody_deleted_fails(demo: Path) -> None:
    """It is lost, and the certificate says that it was deleted, and when."""
    [key] = take(demo, "raw/legacy/*/000001/00001.parquet", reason=BY_HAND)
    certificate = certificate_of(demo, RUN)
    assert by_what(certificate, key)["SHA-256"].found == f"deleted, not by a lifecycle rule, on {DAY}"
    assert {"SHA-256", "extracted"} <= {check.what for check in certificate.failed}
    assert certificate.unproven == []


def test_what_is_missing_without_a_word_fails(demo: Path) -> None:
    """The ledger's word that a neighbour expired excuses nothing else."""
    [key] = take(demo, "raw/legacy/*/000001/00001.parquet")
    other = next((demo / "store").glob("quarantine/legacy/*/000001/00001.parquet"))
    other.unlink()
    certificate = certificate_of(demo, RUN)
    assert list(certificate.expired) == [key]
    assert "missing in the store" in [check.found for check in certificate.failed]


def test_changed_bytes_fail_beside_what_expired(demo: Path) -> None:
    """Expired objects hide no change of those that are there."""
    take(demo, "raw/legacy/*/000001/*")
    path = next((demo / "store").glob("curated/legacy/*/000001/00001.parquet"))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    certificate = certificate_of(demo, RUN)
    assert "SHA-256" in {check.what for check in certificate.failed}
    assert report(certificate, "", opened(demo).clock.now()).endswith("IT DOES NOT TIE.")


def test_the_command_says_not_certified(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1, three dots instead of ok or OFF, and a verdict with how much expired and when."""
    take(demo, "raw/legacy/*/000001/*")
    assert main(["prove", RUN, "--config", str(demo / "tieout.toml")]) == 1
    shown = capsys.readouterr().out
    assert f"  ... extracted: not computed: what it needs expired, the last on {DAY}" in shown
    assert shown.strip().endswith(
        f"the others hold: NOT CERTIFIED. 2 objects expired by lifecycle rules, {DAY} to {DAY}."
    )
    assert "OFF" not in shown


def test_a_trace_says_what_expired(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a payment: where its row was and when that went, with all that is known from elsewhere; of a run and a file: how much."""
    file = first_file(demo)
    world = opened(demo)
    with world.ledger.look() as tx:
        reference = tx.mismatches.find(kind="status_rejected", file_id=file.file_id)[0].reference
    [raw] = [key for key in take(demo, "raw/legacy/*/000001/*.parquet") if key.endswith(".parquet")]
    take(demo, f"outbound/northbank/*/{file.file_id}/*")
    found = trace_payment(TracePorts(world.ledger, world.store, world.configuration), reference)
    [payment] = found["payments"]
    assert {row["in_raw"] for row in payment["rows"]} == {f"expired {DAY}"}
    assert payment["files"][0]["match"]["outcome"] == "mismatched"
    assert (found["problems"], found["expired"]) == ([], {raw: DAY})

    for name, line in (
        (reference, f"expired on {DAY}: {raw}"),
        (RUN, f"  1 objects of raw expired on {DAY}"),
        (file.name, f"  1 objects of outbound expired on {DAY}"),
    ):
        assert main(["trace", name, "--config", str(demo / "tieout.toml")]) == 0
        assert line in capsys.readouterr().out.splitlines()
        assert main(["trace", name, "--json", "--config", str(demo / "tieout.toml")]) == 0
        assert DAY in json.dumps(json.loads(capsys.readouterr().out))
