"""The plan of a session: what is declared wins, what was probed counts for this server only, and what lacks stops everything."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from payments.config import Sftp
from payments.config_drops import BucketDrop, DirectoryDrop
from payments.errors import WrongConfiguration
from payments.records import AcquirerProfile
from runtime.ledger.audit import audit_records
from runtime.ledger.clock import SystemClock
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.sftp_account import settings
from tests.unit.transfer.assemble_world import START, acquirer
from tests.unit.transfer.deliver_world import HOST_KEY, DeliverWorld, sftp
from tests.unit.transfer.flight_world import FlightWorld, Sky
from transfer.delivery_plan import DeliveryPlan, delivery_plan
from transfer.probe import probe
from transfer.profile import EQUAL, NOT_TRIED, RIGHT_SHA256, CapabilityProfile
from transfer.sftp import connect
from transfer.sftp_wire import Wire

GOOD = CapabilityProfile(
    software="SSH-2.0-x",
    host_key=HOST_KEY,
    cipher="aes128-gcm@openssh.com",
    extensions=(),
    exclusive_create="honoured",
    stat_after_put=EQUAL,
    rename="works",
    rename_existing="refuses",
    posix_rename="replaces",
    rename_atomic="declared no, not probed",
    fsync="works",
    limits={"packet": 262_144, "read": 261_120, "write": 261_120, "handles": 1_019},
    hashes={"check-file": RIGHT_SHA256},
    clock_skew_s=0,
    listing_order="by name",
    free_bytes=1 << 40,
    round_trip_us=900,
    bytes_per_s={"1": 1, "8": 2, "32": 3},
    read_back=EQUAL,
)
NO_HASH: dict[str, Any] = {"hashes": {}}


def record(**changes: Any) -> AcquirerProfile:
    profile = replace(GOOD, **changes)
    return AcquirerProfile("north", START, profile.host_key, profile.to_json())


def plan(known: AcquirerProfile | None, days: float = 0, key: str = HOST_KEY, **changes: Any) -> DeliveryPlan:
    return delivery_plan(acquirer(**{"sftp": sftp(), **changes}), known, key, START + timedelta(days=days))


@pytest.mark.parametrize(
    ("known", "chosen"),
    [
        (record(), "hash_extension"),
        (record(hashes={"check-file": "right (sha512)", "md5-hash": "right (md5)"}), "read_back"),
        (record(hashes={"check-file": "wrong (sha256)"}), "read_back"),
        (record(**NO_HASH), "read_back"),
        (record(**NO_HASH, read_back=NOT_TRIED), "read_back"),
        (record(**NO_HASH, read_back="unknown: the server answered 'failure'"), "read_back"),
        (record(**NO_HASH, read_back="refused: permission denied"), "size"),
        (record(**NO_HASH, read_back="other bytes come back"), "size"),
        (None, "read_back"),
    ],
)
def test_the_strongest_is_what_the_probe_proved(known: AcquirerProfile | None, chosen: str) -> None:
    """The hash that was right, else reading back, else the size; without a profile bytes are read back, never less."""
    found = plan(known, verify="strongest")
    assert (found.verify.value, found.lacks) == (chosen, ())
    assert found.verify.why.startswith(f"strongest, {found.profile}")


def test_where_no_server_is_probed_the_way_itself_decides() -> None:
    """A directory is read back, a bucket compares a checksum itself."""
    shared = plan(None, sftp=None, directory=DirectoryDrop(path="/srv"), verify="strongest", key="")
    bucket = plan(None, sftp=None, s3=BucketDrop(url="s3://b"), verify="strongest", key="")
    assert (shared.verify.value, bucket.verify.value) == ("read_back", "size")
    assert (shared.files_in_flight.value, bucket.rename_atomic.value) == (1, "yes")
    assert shared.rows() == [
        ("verify", "read_back (strongest: a directory is read back)"),
        ("rename atomic", "no (default)"),
    ]


@pytest.mark.parametrize("verify", ["size", "read_back", "hash_extension"])
def test_what_is_declared_wins(verify: str) -> None:
    """A profile never changes a means that is declared, and one that it proved lacks nothing."""
    found = plan(record(), verify=verify)
    assert (found.verify.value, found.verify.why, found.lacks) == (
        verify,
        "default" if verify == "size" else "declared",
        (),
    )


@pytest.mark.parametrize(
    ("days", "key", "says"),
    [
        (0, "SHA256:another", "the host key was another"),
        (366, HOST_KEY, "it is older than 365 days"),
    ],
)
def test_a_profile_of_another_server_or_time_is_not_used(days: float, key: str, says: str) -> None:
    """It is said, it chooses nothing, and it stops nothing."""
    known = record(
        **NO_HASH, read_back="refused: failure", rename="refused: failure", limits={"handles": 2, "write": 9}
    )
    found = plan(known, days, key, verify="strongest")
    assert says in found.profile
    assert found.profile.startswith("the profile of 2026-")
    assert found.verify.value == "read_back"
    assert (found.files_in_flight.value, found.write_bytes.value, found.lacks) == (32, 32_000, ())
    assert plan(known, 365).files_in_flight.value == 2
    short = plan(known, 2, sftp=sftp(profile_age_days_max=1))
    assert "older than 1 days" in short.profile


@pytest.mark.parametrize(
    ("changes", "verify", "says"),
    [
        (NO_HASH, "hash_extension", "does not tell the SHA-256"),
        ({"hashes": {"check-file": "right (sha512)"}}, "hash_extension", "does not tell the SHA-256"),
        ({"read_back": "refused: permission denied"}, "read_back", "reading back from its server: refused"),
        ({"rename": "confirmed, but not done"}, "size", "its rename: confirmed, but not done"),
        ({"stat_after_put": "no size is told"}, "size", "no size is told"),
    ],
)
def test_what_is_declared_and_lacking_stops_before_anything_is_uploaded(
    tmp_path: Path, changes: dict[str, Any], verify: str, says: str
) -> None:
    """The error names acquirer, thing and day of the probe; the file waits, and the server got nothing."""
    world = DeliverWorld(tmp_path, verify=verify)
    with world.ledger.begin() as tx:
        tx.profiles.add(record(**changes))
    world.deliver()
    assert (world.server.uploads, world.server.acts, world.states()) == ([], 0, ["sealed"])
    assert says in world.file().note
    assert "probed 2026-" in world.file().note
    assert "acquirer north" in world.file().note
    with pytest.raises(WrongConfiguration) as caught:
        plan(record(**changes), verify=verify).check(world.acquirer)
    assert "tieout acquirer north probe" in caught.value.next_step
    with world.ledger.begin() as tx:
        tx.profiles.change(tx.profiles.find()[0], host_key="SHA256:of a server before this one")
    world.later()
    if verify != "hash_extension":  # which the server of this world has not
        world.deliver()
        assert world.states() == ["delivered"]


def test_a_verdict_that_is_none_stops_nothing() -> None:
    """What the probe could not find out is no proof against the server."""
    unknown = "unknown: the server answered 'failure'"
    known = record(rename=unknown, stat_after_put=unknown, read_back=unknown)
    assert plan(known, verify="read_back").lacks == ()


def test_limits_of_the_server_lower_what_is_declared_and_never_raise_it() -> None:
    """Open files, block size and requests stay below what the probe met; what it did not tell, as 0, limits nothing."""
    low = plan(record(limits={"packet": 0, "read": 0, "write": 8_192, "handles": 4}, bytes_per_s={"1": 1, "8": 1}))
    assert [(each.value, each.why) for each in (low.files_in_flight, low.requests, low.write_bytes)] == [
        (4, "probed 2026-03-02"),
        (8, "probed 2026-03-02"),
        (8_192, "probed 2026-03-02"),
    ]
    high = plan(record(limits={"packet": 0, "read": 0, "write": 0, "handles": 0}), sftp=sftp(files_in_flight=3))
    assert [(each.value, each.why) for each in (high.files_in_flight, high.requests, high.write_bytes)] == [
        (3, "declared"),
        (64, "default"),
        (32_000, "default"),
    ]
    wide = plan(record(), sftp=sftp(files_in_flight=3))
    assert (wide.files_in_flight.value, wide.write_bytes.value) == (3, 32_000)


@pytest.mark.parametrize(
    ("kind", "says", "looks"),
    [
        ("refuses", "and the server refuses", ["free", "place"]),
        ("replaces", "only we look", ["free", "free", "place"]),
        ("confirmed, and a file was lost", "only we look", ["free", "free", "place"]),
    ],
)
def test_where_a_rename_would_replace_a_file_the_name_is_looked_for_again(
    tmp_path: Path, kind: str, says: str, looks: list[str]
) -> None:
    """We look in any case; right before the rename once more, unless the probe saw the server refuse a taken name."""
    known = record(rename_existing=kind)
    found = plan(known, sftp=sftp(rename_atomic=True))
    assert says in str(found.taken_name.value)
    assert (found.rename_atomic.value, found.rename_atomic.why) == ("yes", "declared")
    world = FlightWorld(tmp_path, sftp=sftp())
    with world.ledger.begin() as tx:
        tx.profiles.add(known)
    acts: list[str] = []
    whole = Sky.begin

    def begin(self: Sky, act: Any) -> int:
        acts.append(act.verb)
        return whole(self, act)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sky, "begin", begin)
        world.fly()
    world.check()
    assert world.states() == ["delivered"]
    assert acts[acts.index("upload") + 1 :] == ["stat", *looks], "one look into the archive, then those at the name"


def test_a_session_keeps_to_the_open_files_of_the_plan(tmp_path: Path) -> None:
    """A server that opens two files at once never has more than two uploads on their way, and the session is told its limits."""
    world = FlightWorld(tmp_path, files=9, sftp=sftp(), sequence="free")
    with world.ledger.begin() as tx:
        tx.profiles.add(record(limits={"packet": 0, "read": 0, "write": 8_192, "handles": 2}))
    sky: list[int] = []
    told: list[dict[str, int]] = []
    whole = Sky.begin

    def begin(self: Sky, act: Any) -> int:
        sky.append(1 + sum(each.verb == "upload" for _, each in self.pending) if act.verb == "upload" else 0)
        return whole(self, act)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sky, "begin", begin)
        patch.setattr(Sky, "keep_to", lambda _self, **given: told.append(given), raising=False)
        world.fly()
    world.check()
    assert set(world.states()) == {"delivered"}
    assert max(sky) == 2
    assert told == [{"requests": 64, "write_bytes": 8_192}]


@pytest.mark.parametrize(("known", "how"), [(record(), "hash by the server"), (record(**NO_HASH), "bytes read back")])
def test_a_receipt_says_by_which_rule_it_was_verified(tmp_path: Path, known: AcquirerProfile, how: str) -> None:
    """Where the probe chose, the receipt names means, rule and day; the audit log names the plan, of the day and of the attempt."""
    world = FlightWorld(tmp_path, sftp=sftp(), verify="strongest")
    with world.ledger.begin() as tx:
        tx.profiles.add(known)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sky, "sha256", lambda _self, _path: world.file().sha256, raising=False)
        world.fly()
    world.check()
    receipt = world.receipt(world.file())
    assert receipt is not None
    told = f"rename confirmed, size compared, {how} before it (strongest, probed 2026-03-02), and again behind it"
    assert receipt.verified_by == told
    found = plan(known, verify="strongest")
    with world.engine.connect() as connection:
        said = {each.act: json.loads(each.body) for each in audit_records(connection)}
    assert said["delivery_planned"]["hash"] == said["delivering"]["plan"]
    assert said["delivery_planned"]["verify"] == {"value": found.verify.value, "why": found.verify.why}
    assert said["delivery_planned"]["lacks"] == []


def test_the_hash_of_a_plan_is_that_of_its_choices() -> None:
    """The same inputs give the same hash, and any other choice another one."""
    hashes = [plan(record(), verify=verify).hash for verify in ("size", "size", "read_back", "strongest")]
    assert hashes[0] == hashes[1]
    assert len({*hashes, plan(None).hash}) == 4


def test_a_session_can_be_told_to_go_gently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told smaller and fewer blocks, a session sends none that is larger and never more at once; the file arrives whole."""
    sizes: list[int] = []
    under_way: list[int] = []
    whole = Wire.send

    def send(self: Wire, *request: Any) -> int:
        number = whole(self, *request)
        under_way.append(self.under_way)
        return number

    monkeypatch.setattr(Wire, "send", send)

    class Noting(asyncssh.SFTPServer):
        def write(self, file_obj: object, offset: int, data: bytes) -> int:
            sizes.append(len(data))
            return int(super().write(file_obj, offset, data))

    data = bytes(range(256)) * 100
    (tmp_path / "out").write_bytes(data)
    with (
        asyncssh_server(tmp_path, files=Noting) as account,
        connect(settings(account), key=account.client_key, password=None) as opened,
    ):
        drop: Any = opened
        drop.keep_to(requests=2, write_bytes=1_000)
        drop.upload(tmp_path / "out", "inbox/.a")
        assert (account.root / "inbox/.a").read_bytes() == data
    assert max(sizes) == 1_000
    assert max(under_way) == 2


class WriteOnly(asyncssh.SFTPServer):
    """An inbox as a letter box: what is in it cannot be read."""

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        raise asyncssh.SFTPPermissionDenied("no")


class Other(asyncssh.SFTPServer):
    """What comes back is not what was written."""

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        return bytes(super().read(file_obj, offset, size))[::-1]


class Short(asyncssh.SFTPServer):
    """Files end early."""

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        return bytes(super().read(file_obj, offset, min(size, 10)))[: max(0, 100 - offset)]


@pytest.mark.parametrize(
    ("files", "verdict"),
    [
        (WriteOnly, "refused: permission denied"),
        (Other, "other bytes come back"),
        (Short, "not as many bytes come back"),
    ],
)
def test_a_probe_finds_out_whether_bytes_can_be_read_back(
    tmp_path: Path, files: type[asyncssh.SFTPServer], verdict: str
) -> None:
    """A server that gives nothing, or something else, back is known afterwards, and the strongest there is the size."""
    with asyncssh_server(tmp_path, files=files) as account:
        server: Sftp = settings(account)
        found = probe(server, key=account.client_key, password=None, accepted=None, clock=SystemClock())
    assert found.read_back == verdict
    known = AcquirerProfile("north", START, found.host_key, found.to_json())
    assert plan(known, key=found.host_key, verify="strongest").verify.value == "size"
    assert CapabilityProfile.from_json({**found.to_json(), "of tomorrow": 1}) == found
    older = {name: value for name, value in found.to_json().items() if name != "read_back"}
    assert CapabilityProfile.from_json(older).read_back == NOT_TRIED
