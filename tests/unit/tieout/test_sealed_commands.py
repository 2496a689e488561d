"""Commands where files are encrypted and signed: keys and their ends, a result file that is read again, a proof of our own file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.prepare import prepare
from payments.keys import result_key
from payments.records import ResultFile
from runtime.key_watch import FIRING, watch_keys
from runtime.wiring import World
from tests.servers.pgp_keys import PgpRing, needs_gpg, pgp_ring
from tieout.__main__ import main

pytestmark = needs_gpg
DAY = date(2026, 3, 2)
SHORT_ENDS = datetime(2026, 3, 22, tzinfo=UTC)


@pytest.fixture(scope="module")
def ring() -> Iterator[PgpRing]:
    with pgp_ring() as made:
        yield made


def secret_files(ring: PgpRing, folder: Path) -> None:
    for reference, value in ring.secrets.items():
        path = folder / reference.removeprefix("env:")
        path.write_bytes(value)
        path.chmod(0o600)


def prepared(ring: PgpRing, folder: Path, *, signer: str = "bank", recipient: str = "short") -> str:
    config = prepare(folder / "demo", payments=50, seed=3)
    secret_files(ring, folder / "demo" / "keys")
    text = Path(config).read_text().replace('names = ["*.ack", "*.result.*"]', 'names = ["*.pgp"]\nunwrap = ["pgp"]')
    text += f"""
[acquirer.results.pgp]
keys = ["file:keys/ours-secret"]
passphrase = "file:keys/phrase"

[[acquirer.results.pgp.signer]]
fingerprint = "{ring.fingerprints[signer]}"
key = "file:keys/{signer}"

[acquirer.encode.pgp]
recipients = ["file:keys/bank", "file:keys/{recipient}"]
"""
    Path(config).write_text(text)
    return str(config)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    capsys.readouterr()
    status = main([*arguments])
    out = capsys.readouterr().out
    return status, json.loads(out) if "--json" in arguments else out


def test_keys_say_what_they_are_for_and_when_they_end(
    ring: PgpRing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`acquirer NAME keys` lists each OpenPGP key; status and config check warn of the one that ends, without calling it a failure."""
    config = prepared(ring, tmp_path)
    status, found = said(capsys, "acquirer", "northbank", "keys", "--json", "--config", config)
    assert status == 0
    states = {(each["fingerprint"], each["state"]) for each in found["openpgp"]}
    assert states == {
        (ring.fingerprints["bank"], "good"),
        (ring.fingerprints["short"], "ends soon"),
        (ring.fingerprints["ours"], "good"),
    }
    assert len(found["openpgp"]) == 4
    assert ring.fingerprints["short"] in said(capsys, "acquirer", "northbank", "keys", "--config", config)[1]
    (warning,) = said(capsys, "config", "check", "--json", "--config", config)[1]["warnings"]
    assert ring.fingerprints["short"] in warning
    status, found = said(capsys, "status", "--json", "--config", config)
    assert (status, found["at_risk"]) == (0, [])
    assert found["keys"] == [
        "northbank: the OpenPGP key file:keys/short (files are encrypted to it) ends on 2026-03-22"
    ]
    assert "KEY: northbank: the OpenPGP key" in said(capsys, "status", "--config", config)[1]


@pytest.mark.parametrize(("also", "needed"), [("", True), ("bank", False)])
def test_a_key_that_ended_is_a_failure_where_it_is_needed(
    ring: PgpRing, tmp_path: Path, capsys: pytest.CaptureFixture[str], also: str, needed: bool
) -> None:
    """Behind its end a signer's key makes status exit 1, unless another pinned key can do its work; the virtual clock decides."""
    config = prepared(ring, tmp_path, signer="short", recipient="other")
    if also:
        more = (
            f'\n[[acquirer.results.pgp.signer]]\nfingerprint = "{ring.fingerprints[also]}"\nkey = "file:keys/{also}"\n'
        )
        Path(config).write_text(Path(config).read_text() + more)
    world = World.open(config)
    _ = world.ledger
    world.clock.move(SHORT_ENDS + timedelta(hours=1))  # type: ignore[attr-defined]
    watch_keys(world)
    world.ledger.engine.dispose()
    status, found = said(capsys, "status", "--json", "--config", config)
    assert (status, len(found["at_risk"]), len(found["keys"])) == ((1, 1, 0) if needed else (0, 0, 1))
    assert "ended on 2026-03-22" in [*found["at_risk"], *found["keys"]][0]


def test_keys_are_looked_at_once_a_day(ring: PgpRing, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The service looks again after a day; a secret that holds no key is said in the log and stops nothing."""
    world = World.open(prepared(ring, tmp_path))
    looked: list[datetime] = []
    for hours in (0, 23, 25):
        _ = world.ledger
        world.clock.move(datetime(2026, 3, 2, 6, tzinfo=UTC) + timedelta(hours=hours))  # type: ignore[attr-defined]
        watch_keys(world)
        with world.ledger.look() as tx:
            looked.append(next(each.fired_at for each in tx.firings.find() if each.name == FIRING))
    assert [each - looked[0] for each in looked] == [timedelta(0), timedelta(0), timedelta(hours=25)]
    (tmp_path / "demo" / "keys" / "bank").write_bytes(b"nothing")
    world.clock.move(datetime(2026, 3, 5, tzinfo=UTC))  # type: ignore[attr-defined]
    watch_keys(world)
    assert "the OpenPGP keys of northbank cannot be looked at" in caplog.text
    world.ledger.engine.dispose()


def collected(world: World, name: str, data: bytes) -> ResultFile:
    digest = hashlib.sha256(data).hexdigest()
    key = result_key("northbank", DAY, digest, name)
    world.store.put(key, data)
    result = ResultFile(
        "northbank", digest, name, key, DAY, len(data), datetime(2026, 3, 2, 7, tzinfo=UTC), "collected"
    )
    with world.ledger.begin() as tx:
        tx.results.add(result)
    return result


def test_a_result_that_was_set_aside_is_read_again(
    ring: PgpRing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`requeue NAME` sends it to the readers again and audits who did it; one that is not set aside is refused."""
    config = prepared(ring, tmp_path)
    world = World.open(config)
    text = b"AH,TIEOUT1,never.csv,ffffffffffffffffffffffff,1,2026-03-02,2026-03-02T06:01:00Z\nAK,ACTC,1,,,2\nAT,1\n"
    result = collected(world, "f.ack.pgp", ring.message(text, signer="other"))
    world.read_result(result.key)
    assert said(capsys, "requeue", "f.ack.pgp", "--json", "--config", config) == (
        0,
        {"results": [{"acquirer": "northbank", "name": "f.ack.pgp", "sha256": result.sha256}]},
    )
    with world.ledger.look() as tx:
        found = tx.results.get("northbank", result.sha256)
    assert found is not None
    assert (found.state, found.lines, found.reconciled, world.queue.depth("read")) == ("collected", 0, False, (1, 0))
    assert main(["requeue", result.sha256, "--config", config]) == 2
    assert "is not set aside: it is collected" in capsys.readouterr().err
    assert main(["requeue", "nothing.pgp", "--config", config]) == 2
    world.ledger.engine.dispose()
