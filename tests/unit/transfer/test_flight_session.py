"""Many acts under way on one SFTP session, with real servers: each ends once, by itself, and what breaks the link ends all."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from payments.errors import DeliveryFailed, TargetExists, Unreachable
from tests.servers import openssh
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.line import Line
from tests.servers.openssh import openssh_server
from tests.servers.sftp_account import SftpAccount, settings
from transfer.many_acts import Act, Ended
from transfer.sftp import connect
from transfer.sftp_copy import BLOCK_BYTES, REQUESTS_MAX

needs_sshd = pytest.mark.skipif(openssh.sshd() is None, reason=openssh.MISSING)
SERVERS = [pytest.param(openssh_server, marks=needs_sshd, id="openssh"), pytest.param(asyncssh_server, id="asyncssh")]


@pytest.fixture(scope="module", params=SERVERS)
def account(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpAccount]:
    with request.param(tmp_path_factory.mktemp("server")) as account:
        yield account


def files_in(folder: Path, sizes: list[int]) -> list[Path]:
    paths = [folder / f"out{at:03d}" for at in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(random.Random(size).randbytes(size))
    return paths


def fly(drop: Any, acts: list[Act]) -> dict[Act, Ended]:
    """All of them at once; what became of each."""
    tickets = {drop.begin(act): act for act in acts}
    found: dict[Act, Ended] = {}
    while (ended := drop.ended(wait=True)) is not None:
        assert tickets[ended.ticket] not in found, "an act ended twice"
        found[tickets[ended.ticket]] = ended
    assert len(found) == len(acts), "an act never ended"
    return found


def test_uploads_renames_and_downloads_side_by_side(account: SftpAccount, tmp_path: Path) -> None:
    """Twenty files of all sizes go up, are renamed and come back at the same time, byte by byte."""
    out = files_in(tmp_path, [at * 17_000 for at in range(19)] + [3_000_001])
    with connect(settings(account), key=account.client_key, password=None) as drop:
        for up in fly(drop, [Act("upload", (path, f"inbox/.{path.name}")) for path in out]).values():
            assert up.error is None
        for moved in fly(drop, [Act("rename", (f"inbox/.{path.name}", f"inbox/{path.name}")) for path in out]).values():
            assert moved.error is None
        back = fly(drop, [Act("download", (f"inbox/{path.name}", tmp_path / f"{path.name}.back")) for path in out])
        assert [ended.error for ended in back.values()] == [None] * 20
        looks = fly(drop, [Act("stat", (f"inbox/{path.name}",)) for path in out])
        assert {act.given[0]: ended.value.size for act, ended in looks.items()} == {
            f"inbox/{path.name}": path.stat().st_size for path in out
        }
        gone = fly(drop, [Act("remove", (f"inbox/{path.name}",)) for path in out])
        assert all(ended.value is True for ended in gone.values())
    for path in out:
        assert (tmp_path / f"{path.name}.back").read_bytes() == path.read_bytes()


def test_what_fails_fails_alone(account: SftpAccount, tmp_path: Path) -> None:
    """Of acts under way together a taken name, a missing folder and a missing file get their own errors; the rest are done."""
    good, taken = files_in(tmp_path, [50_000, 60_000])
    (account.root / "inbox/.taken").write_bytes(b"theirs")
    (account.root / "inbox/target").write_bytes(b"theirs")
    acts = [
        Act("upload", (good, "inbox/.good")),
        Act("upload", (taken, "inbox/.taken")),
        Act("upload", (good, "nowhere/.good")),
        Act("upload", (tmp_path / "missing", "inbox/.missing")),
        Act("rename", ("inbox/.taken", "inbox/target")),
        Act("stat", ("inbox/nothing",)),
    ]
    with connect(settings(account), key=account.client_key, password=None) as drop:
        errors = [ended.error for ended in map(fly(drop, acts).__getitem__, acts)]
        kinds = [type(error) for error in errors]
        assert drop.remove("inbox/.good")
    assert kinds == [type(None), DeliveryFailed, DeliveryFailed, DeliveryFailed, TargetExists, type(None)]
    assert "'inbox/.taken'" in str(errors[1])
    assert "this machine could not open" in str(errors[3])
    for name in (".taken", "target"):
        assert (account.root / "inbox" / name).read_bytes() == b"theirs"
        (account.root / "inbox" / name).unlink()


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "silent"])
def test_what_breaks_the_link_ends_every_act(account: SftpAccount, tmp_path: Path, cut: bool) -> None:
    """A line that is cut or goes silent in the middle of ten uploads: those that ended are whole, all others are Unreachable."""
    out = files_in(tmp_path, [300_000] * 10)
    acts = [Act("upload", (path, f"inbox/.{cut}{path.name}")) for path in out]
    with (
        Line(account.port, 1_500_000, cut=cut) as line,
        connect(settings(account, port=line.port, channel_timeout_s=1), key=account.client_key, password=None) as drop,
    ):
        found = fly(drop, acts)
        after = fly(drop, [Act("stat", ("inbox",))])
    for act, ended in found.items():
        if ended.error is None:
            assert (account.root / act.given[1]).read_bytes() == act.given[0].read_bytes()
        else:
            assert type(ended.error) is Unreachable
    assert any(ended.error is not None for ended in found.values())
    assert [type(ended.error) for ended in after.values()] == [Unreachable]


def test_blocks_under_way_are_bounded_however_many_files(account: SftpAccount, tmp_path: Path) -> None:
    """Eight files of 40 blocks at once never have more blocks under way than one file may have, and none is starved."""
    out = files_in(tmp_path, [BLOCK_BYTES * 40 + at for at in range(8)])
    with connect(settings(account), key=account.client_key, password=None) as opened:
        drop: Any = opened
        most, send = [0], drop._wire.send

        def counted(*given: Any) -> int:
            number: int = send(*given)
            most[0] = max(most[0], drop._wire.under_way)
            return number

        drop._wire.send = counted
        found = fly(drop, [Act("upload", (path, f"inbox/.b{path.name}")) for path in out])
        assert all(ended.error is None for ended in found.values())
    assert 8 < most[0] <= REQUESTS_MAX
    for path in out:
        assert (account.root / f"inbox/.b{path.name}").read_bytes() == path.read_bytes()
