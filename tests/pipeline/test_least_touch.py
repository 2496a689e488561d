"""What each stage touches while the demo runs is exactly what the topology says of it: stores read and written, secrets opened."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

import runtime.actor
from dashboard.exports import Export
from dashboard.filters import Filters
from functions.topology import TOPOLOGY, Stage
from local import worker as worker_module
from local.demo import acquirer as acquirer_apart
from local.worker import call
from payments.acting import Actor
from payments.config import Configuration
from payments.ports import Message, ObjectStore, StoredObject
from payments.records import Mismatch
from payments.states import MismatchKind
from runtime.secrets import ReferencedSecrets
from runtime.store import STORES
from runtime.wiring import World
from tests import service_runner as runner
from tests.contract.ledger_world import sample
from tests.servers.pgp_keys import PgpRing, needs_gpg, pgp_ring
from tests.servers.process import free_port
from tests.stage_runner import ACK_AND_RESULTS, Stages, stages
from tieout.__main__ import main

pytestmark = [needs_gpg, pytest.mark.xdist_group("least_touch")]
STAGES = pytest.mark.parametrize("stage", TOPOLOGY, ids=lambda stage: stage.name)
PASSWORD = {'url = "sqlite:legacy.db"': 'url = "sqlite:legacy.db"\npassword = "file:keys/password"'}
SHARES = {"rejected": 0.2, "omitted": 0.1}


@dataclass
class Touched:
    """Stage -> first parts of the keys that it read and wrote, and tables of the configuration whose secrets it opened."""

    reads: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    writes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    secrets: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    stage: str = "nobody"

    def reads_at(self, key: str) -> None:
        self.reads[self.stage].add(key.partition("/")[0])

    def writes_at(self, key: str) -> None:
        self.writes[self.stage].add(key.partition("/")[0])


class WatchedStore:
    """The port ObjectStore over another one."""

    def __init__(self, store: ObjectStore, touched: Touched) -> None:
        self._store, self._touched = store, touched

    def put(self, key: str, data: bytes) -> StoredObject:
        self._touched.writes_at(key)
        return self._store.put(key, data)

    def put_file(self, key: str, path: Path) -> StoredObject:
        self._touched.writes_at(key)
        return self._store.put_file(key, path)

    def get(self, key: str) -> bytes:
        self._touched.reads_at(key)
        return self._store.get(key)

    def local(self, key: str) -> AbstractContextManager[Path]:
        self._touched.reads_at(key)
        return self._store.local(key)

    def keys(self, prefix: str) -> Iterator[str]:
        self._touched.reads_at(prefix)
        return self._store.keys(prefix)

    def exists(self, key: str) -> bool:
        self._touched.reads_at(key)
        return self._store.exists(key)


class WatchedSecrets(ReferencedSecrets):
    """Knows in which table of the configuration a reference stands."""

    def __init__(self, world: World, touched: Touched) -> None:
        super().__init__(world.settings.base)
        self._tables, self._touched = tables_of(world.configuration), touched

    def get(self, reference: str) -> bytes:
        self._touched.secrets[self._touched.stage] |= self._tables[reference]
        return super().get(reference)


def tables_of(configuration: Configuration) -> dict[str, set[str]]:
    """Reference -> names of tables, as the topology calls them."""
    found: dict[str, set[str]] = defaultdict(set)
    given = [("source", [each.password for each in configuration.source])]
    for each in configuration.acquirer:
        given += [("acquirer.s3" if each.s3 else "acquirer.sftp", list(each.secrets))]
        pgp = {"acquirer.encode": each.encode.pgp, "acquirer.results": each.results.pgp}
        given += [(table, list(keys.secrets)) for table, keys in pgp.items() if keys]
    for table, references in given:
        for reference in references:
            found[reference].add(table)
    return found


@contextmanager
def watched(directory: Path, touched: Touched) -> Iterator[Stages]:
    """One worker whose handlers are watched, each under the name of its stage."""

    def calling(stage: Stage, messages: list[Message]) -> set[str]:
        touched.stage = stage.name
        try:
            return call(stage, messages)
        finally:
            touched.stage = "nobody"

    with stages(directory) as at, pytest.MonkeyPatch.context() as patch:
        vars(at.world)["store"] = WatchedStore(at.world.store, touched)
        vars(at.world)["secrets"] = WatchedSecrets(at.world, touched)
        patch.setattr(worker_module, "call", calling)
        yield at


def answered(at: Stages, by: timedelta) -> None:
    at.later(by)
    at.acquirer_done()
    for each in at.world.configuration.acquirer:
        at.send("collect", each.name)


def whole_chain(directory: Path, touched: Touched) -> None:
    """From the source to matches, and again for what two people send again."""
    acquirer = directory / "acquirer" / "acquirer.json"
    told = json.loads(acquirer.read_text())
    for partner in told["partners"]:
        partner["shares"] = SHARES
    acquirer.write_text(json.dumps(told))
    with watched(directory, touched) as at, acquirer_apart(directory):
        at.send("extract", "legacy")
        published_again(at)
        answered(at, ACK_AND_RESULTS)
        with at.world.ledger.look() as tx:
            files = sorted({each.file_id for each in tx.mismatches.find(kind="status_rejected")})
        for name in files:
            for person in ("anna", "ben"):
                redelivered(directory, name, person)
        at.settle()
        assert len([each for each in at.files() if each.replaces]) == len(files) > 0
        answered(at, ACK_AND_RESULTS)
        answered(at, timedelta(hours=9))  # what was left out is overdue by now
        with at.world.ledger.look() as tx:
            export = Export.of(tx, Filters(), "subject")
        at.world.queue.send("export", export.message)
        at.settle()


def published_again(at: Stages) -> None:
    """A run that was curated before its extraction could say that it is complete: the next extraction says so."""
    with at.world.ledger.begin() as tx:
        (run,) = tx.runs.find()
        tx.runs.change(run, state="curated")
    for path in at.stored("curated/"):
        if path.name == "complete.json":
            path.unlink()
    at.send("extract", "legacy")


def redelivered(directory: Path, name: str, person: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime.actor, "operating_system_user", lambda: Actor(person, verified=True))
        command = ["file", name, "redeliver", "--rejected", "--json"]
        assert main([*command, "--config", str(directory / "tieout.toml")]) == 0


def sealed_both_ways(directory: Path, touched: Touched, ring: PgpRing) -> None:
    """Files that are encrypted for the acquirer, and an answer that it encrypted for us."""
    # A file for each table, though two hold the same key: by its reference it is told who opened it.
    for name, held in (("bank", "bank"), ("signer", "bank"), ("ours", "ours-secret"), ("phrase", "phrase")):
        (directory / "keys" / name).touch(mode=0o600)
        (directory / "keys" / name).write_bytes(ring.secrets[f"env:{held}"])
    signer = f'{{ fingerprint = "{ring.fingerprints["bank"]}", key = "file:keys/signer" }}'
    results = f'pgp = {{ keys = ["file:keys/ours"], passphrase = "file:keys/phrase", signer = [{signer}] }}'
    runner.edit(
        directory,
        {
            'format = "delimited"\nresults_list': 'format = "delimited"\n'
            'encode.pgp = { recipients = ["file:keys/bank"] }\nresults_list',
            'names = ["*.ack", "*.result.*"]': f'names = ["*.ack", "*.result.*"]\nunwrap = ["pgp"]\n{results}',
        },
    )
    with watched(directory, touched) as at, acquirer_apart(directory):
        at.send("extract", "legacy")
        outbox = directory / "acquirer" / "northbank" / "outbox"
        (outbox / "sealed.ack").write_bytes(ring.message(b"RH,1\n"))
        answered(at, timedelta(hours=1))


def by_bucket(directory: Path, touched: Touched, endpoint: str) -> None:
    """An acquirer with a bucket: whether it exists is not asked before the keys are fetched."""
    for name in ("access", "secret"):
        (directory / "keys" / name).write_text("testing")
    text = (directory / "tieout.toml").read_text()
    before, _, giro = text.rpartition("[acquirer.sftp]")
    bucket = f'[acquirer.s3]\nurl = "s3://partner"\nendpoint = "{endpoint}"\nregion = "eu-central-1"\n'
    bucket += 'access_key = "file:keys/access"\nsecret_key = "file:keys/secret"\n\n'
    results = f"[acquirer.results]{giro.partition('[acquirer.results]')[2]}"
    (directory / "tieout.toml").write_text(before + bucket + results)
    with watched(directory, touched) as at, acquirer_apart(directory):
        with at.world.ledger.begin() as tx:
            kind = str(MismatchKind.SETTLED_AFTER_REDELIVERY)
            tx.replace_mismatches([sample(Mismatch, id="m1", kind=kind, state="open", payment_id="another")], [])
        at.send("extract", "legacy")
        at.send("collect", "giro")


@pytest.fixture(scope="module")
def touched(tmp_path_factory: pytest.TempPathFactory, moto_endpoint: str) -> Touched:
    """All that was touched on the three paths together."""
    folder, found = tmp_path_factory.mktemp("touched"), Touched()
    demo = runner.prepared(folder / "demo", payments=60)
    (demo / "keys" / "password").write_text("not needed for SQLite")
    whole_chain(runner.copied(demo, folder / "whole", free_port(), PASSWORD), found)
    with pgp_ring() as ring:
        sealed_both_ways(runner.copied(demo, folder / "sealed", free_port(), {}), found, ring)
    by_bucket(runner.copied(demo, folder / "bucket", free_port(), {}), found, moto_endpoint)
    return found


@STAGES
def test_a_stage_writes_what_the_topology_says(touched: Touched, stage: Stage) -> None:
    """Neither more, which AWS would refuse, nor less, which would be a right that nobody needs."""
    assert touched.writes[stage.name] == set(stage.writes)


@STAGES
def test_a_stage_reads_what_the_topology_says(touched: Touched, stage: Stage) -> None:
    """What it writes it may read; everything else that it reads is named, and nothing is named that it does not read."""
    assert touched.reads[stage.name] - set(stage.writes) == set(stage.reads)


@STAGES
def test_a_stage_opens_the_secrets_that_the_topology_says(touched: Touched, stage: Stage) -> None:
    """The tables of the configuration whose references it followed, and no other."""
    assert touched.secrets[stage.name] == set(stage.secrets)


def test_every_store_is_known(touched: Touched) -> None:
    """A deployment gives each store a bucket: a key that begins otherwise would be nobody's."""
    everything = set().union(*touched.reads.values(), *touched.writes.values())
    assert everything <= set(STORES)
    assert {each for stage in TOPOLOGY for each in (*stage.reads, *stage.writes)} <= set(STORES)
