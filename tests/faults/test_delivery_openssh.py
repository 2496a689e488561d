"""Delivery to a real OpenSSH server: the whole way, and a worker that is stopped, outlived and woken again (T7)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.faults.stopped_worker import ports_for
from tests.servers import openssh
from tests.servers.openssh import openssh_server
from tests.servers.process import until
from tests.servers.sftp_account import SftpAccount, private_key, public_line, settings
from tests.unit.transfer.deliver_world import DeliverWorld
from transfer.deliver import deliver

pytestmark = pytest.mark.skipif(openssh.sshd() is None, reason=openssh.MISSING)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpAccount]:
    with openssh_server(tmp_path_factory.mktemp("server")) as account:
        yield account


@pytest.fixture
def account(running: SftpAccount) -> SftpAccount:
    for folder in ("inbox", "archive"):
        for entry in (running.root / folder).iterdir():
            entry.unlink()
    return running


def lying_in(account: SftpAccount, folder: str = "inbox") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((account.root / folder).iterdir())}


def test_files_arrive_byte_by_byte_with_the_proved_host_key(account: SftpAccount, tmp_path: Path) -> None:
    """Three sealed files lie in the inbox of a real server, nothing else does, and each receipt names the server's key."""
    world = DeliverWorld(tmp_path, files=3)
    assert deliver(ports_for(tmp_path, settings(account), account.client_key, "worker:1", ""))
    assert world.states() == ["delivered"] * 3
    assert lying_in(account) == {file.name: world.bodies[file.file_id] for file in world.files()}
    for file in world.files():
        receipt = world.receipt(file)
        assert receipt is not None
        assert receipt.host_key.startswith("SHA256:")
        assert (receipt.size, receipt.sha256) == (file.size, file.sha256)


def test_a_server_with_another_host_key_gets_nothing(account: SftpAccount, tmp_path: Path) -> None:
    """A host key that is not pinned: no attempt, no file, all wait, and the note says why."""
    world = DeliverWorld(tmp_path, files=2)
    sftp = settings(account, host_keys=[public_line(private_key())])
    deliver(ports_for(tmp_path, sftp, account.client_key, "worker:1", ""))
    assert world.states() == ["sealed", "sealed"]
    assert all(file.next_attempt_at is not None and "host key" in file.note for file in world.files())
    assert world.attempts(world.files()[0]) == []
    assert lying_in(account) == {}


def test_a_name_that_is_taken_on_a_real_server_is_kept(account: SftpAccount, tmp_path: Path) -> None:
    """T3 on OpenSSH: the file that is there keeps its bytes, ours is held."""
    world = DeliverWorld(tmp_path)
    (account.root / "inbox" / world.file().name).write_bytes(b"theirs")
    deliver(ports_for(tmp_path, settings(account), account.client_key, "worker:1", ""))
    assert lying_in(account) == {world.file().name: b"theirs"}
    assert world.file().held


def stopped(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process is stopped by a signal; it must not have ended."""
    assert process.poll() is None, "the old worker ended before it stopped itself"
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize(
    ("moment", "states", "archives"),
    [
        ("before-upload", ["delivered"], False),
        ("after-upload", ["delivered"], True),
        ("before-rename", ["in_doubt"], False),
        ("after-rename", ["delivered"], False),
        ("after-rename", ["delivered"], True),
    ],
)
def test_an_old_worker_woken_after_its_lease_places_nothing_twice(
    account: SftpAccount, tmp_path: Path, moment: str, states: list[str], archives: bool
) -> None:
    """T7: a worker stopped by SIGSTOP loses its lease, another takes over, SIGCONT: the file is there once, or in doubt."""
    world = DeliverWorld(tmp_path)
    (tmp_path / "key").write_bytes(account.client_key)
    sftp = settings(account, archive="archive")
    (tmp_path / "sftp.json").write_text(json.dumps(msgspec.to_builtins(sftp)))
    script = Path(__file__).with_name("stopped_worker.py")
    root = script.parents[2]
    old = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), str(tmp_path / "sftp.json"), moment],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    try:
        until(lambda: stopped(old), f"the old worker to stop {moment}", 30)
        new = ports_for(tmp_path, sftp, account.client_key, "worker:new", "")
        # The old worker's lease really runs out: until then the new one is refused.
        until(lambda: deliver(new) and world.states() != ["delivering"], "the new worker to find a verdict", 30)
        assert world.states() == states
        name, body = world.file().name, world.bodies[world.file().file_id]
        if archives and (account.root / "inbox" / name).exists():
            (account.root / "inbox" / name).rename(account.root / "archive" / name)
        os.kill(old.pid, signal.SIGCONT)
        assert old.wait(30) == 0
    finally:
        old.kill()
        old.wait(10)
    assert world.states() == states
    found = {**lying_in(account), **lying_in(account, "archive")}
    assert found == ({name: body} if states == ["delivered"] else {})
    assert len(lying_in(account)) + len(lying_in(account, "archive")) == len(found), "the file is there twice"
    deliver(new)
    assert world.states() == states
