"""The contract of RemoteDrop, kept by our SFTP session with a real OpenSSH server and with asyncssh's."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from payments.config import Sftp
from payments.errors import DeliveryFailed, NotAllowed, TargetExists, WrongConfiguration
from payments.remote_ports import RemoteDrop, RemoteFile
from tests.servers import openssh
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.openssh import openssh_server
from tests.servers.sftp_account import SftpAccount, private_key, public_line, settings
from transfer.sftp import connect

needs_sshd = pytest.mark.skipif(openssh.sshd() is None, reason=openssh.MISSING)
SERVERS = [pytest.param(openssh_server, marks=needs_sshd, id="openssh"), pytest.param(asyncssh_server, id="asyncssh")]


@pytest.fixture(scope="module", params=SERVERS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpAccount]:
    with request.param(tmp_path_factory.mktemp("server")) as account:
        yield account


@pytest.fixture
def account(running: SftpAccount) -> SftpAccount:
    for folder in ("inbox", "outbox"):
        for entry in (running.root / folder).iterdir():
            entry.rmdir() if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    return running


@pytest.fixture
def drop(account: SftpAccount) -> Iterator[RemoteDrop]:
    with connect(settings(account), key=account.client_key, password=None) as opened:
        yield opened


def write(path: Path, size: int) -> bytes:
    data = random.Random(size).randbytes(size)
    path.write_bytes(data)
    return data


@pytest.mark.parametrize("size", [0, 1, 32_768, 32_769, 3_000_001])
def test_a_file_arrives_and_comes_back_byte_by_byte(
    drop: RemoteDrop, account: SftpAccount, tmp_path: Path, size: int
) -> None:
    """What is uploaded lies on the server with the same bytes, and a download brings the same bytes back."""
    data = write(tmp_path / "out", size)
    drop.upload(tmp_path / "out", "inbox/.a.tmp")
    assert (account.root / "inbox/.a.tmp").read_bytes() == data
    drop.download("inbox/.a.tmp", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


def test_an_upload_never_touches_a_file_that_is_there(drop: RemoteDrop, account: SftpAccount, tmp_path: Path) -> None:
    """A taken temporary name is refused, and the file that has it keeps its bytes."""
    write(tmp_path / "out", 100)
    (account.root / "inbox/.a.tmp").write_bytes(b"theirs")
    with pytest.raises(DeliveryFailed, match=r"inbox/\.a\.tmp.*name was taken"):
        drop.upload(tmp_path / "out", "inbox/.a.tmp")
    assert (account.root / "inbox/.a.tmp").read_bytes() == b"theirs"


def test_an_upload_into_a_missing_directory_names_it(drop: RemoteDrop, tmp_path: Path) -> None:
    """A directory that is not there is a delivery that failed, with the setting to look at."""
    write(tmp_path / "out", 100)
    with pytest.raises(DeliveryFailed, match=r"no such file.*nowhere/a") as caught:
        drop.upload(tmp_path / "out", "nowhere/a")
    assert "`inbox`" in caught.value.next_step


def test_a_local_file_that_is_missing_is_no_fault_of_the_server(drop: RemoteDrop, tmp_path: Path) -> None:
    """When our own file cannot be read the error says so, and nothing appears on the server."""
    with pytest.raises(DeliveryFailed, match="this machine could not open a file to upload"):
        drop.upload(tmp_path / "absent", "inbox/.a.tmp")
    assert drop.stat("inbox/.a.tmp") is None


def test_a_rename_moves_the_file(drop: RemoteDrop, account: SftpAccount) -> None:
    """After a rename the target is there and the temporary name is not."""
    (account.root / "inbox/.a.tmp").write_bytes(b"ours")
    drop.rename("inbox/.a.tmp", "inbox/a")
    assert [each.name for each in drop.listing("inbox")] == ["a"]
    assert (account.root / "inbox/a").read_bytes() == b"ours"


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_a_rename_never_replaces(drop: RemoteDrop, account: SftpAccount, kind: str) -> None:
    """Whatever has the target's name already, it stays as it is, and so does our temporary file."""
    target, temporary = account.root / "inbox/a", account.root / "inbox/.a.tmp"
    temporary.write_bytes(b"ours")
    match kind:
        case "file":
            target.write_bytes(b"theirs")
        case "folder":
            target.mkdir()
        case _:
            target.symlink_to("nowhere")
    with pytest.raises(TargetExists, match="'inbox/a' exists already"):
        drop.rename("inbox/.a.tmp", "inbox/a")
    assert temporary.read_bytes() == b"ours"
    assert kind != "file" or target.read_bytes() == b"theirs"


def test_stat_tells_name_size_and_time(drop: RemoteDrop, account: SftpAccount) -> None:
    """A file is told by its name, its size and the server's time; a name that is free gives None."""
    (account.root / "inbox/a").write_bytes(b"12345")
    os.utime(account.root / "inbox/a", (1_700_000_000, 1_700_000_001))
    assert drop.stat("inbox/a") == RemoteFile("a", 5, 1_700_000_001)
    assert drop.stat("inbox/b") is None
    assert drop.stat("nowhere/b") is None


def test_remove_tells_whether_it_was_there(drop: RemoteDrop, account: SftpAccount) -> None:
    """Removing gives True once, and False when there is nothing to remove."""
    (account.root / "inbox/a").write_bytes(b"12345")
    assert drop.remove("inbox/a") is True
    assert drop.remove("inbox/a") is False
    assert not (account.root / "inbox/a").exists()


def test_a_listing_holds_files_in_order(drop: RemoteDrop, account: SftpAccount) -> None:
    """Directories are left out, links told as such; all comes ordered by name, also when it takes several answers."""
    outbox = account.root / "outbox"
    names = [f"file {number:04}" for number in range(300)]
    for name in random.Random(1).sample(names, len(names)):
        (outbox / name).write_bytes(b"x" * int(name[-4:]))
    (outbox / "folder").mkdir()
    (outbox / "link").symlink_to(outbox / names[0])
    os.mkfifo(outbox / "pipe")
    *listed, link, pipe = drop.listing("outbox")
    assert [(each.name, each.plain) for each in (link, pipe)] == [("link", False), ("pipe", False)]
    assert all(each.plain for each in listed)
    assert [(each.name, each.size) for each in listed] == [(name, int(name[-4:])) for name in names]


def test_a_listing_keeps_hostile_names(drop: RemoteDrop, account: SftpAccount) -> None:
    """No name breaks a listing: control characters and other directions come through, other bytes are written out."""
    names = [b"\x1b[31mred", b"a\nb", b"caf\xe9", "\N{RIGHT-TO-LEFT OVERRIDE}fdp.csv".encode(), b"n" * 250, b"..a"]
    for name in names:
        Path(os.fsdecode(os.fsencode(account.root / "outbox") + b"/" + name)).write_bytes(b"1")
    listed = drop.listing("outbox")
    assert {each.name for each in listed} == {name.decode(errors="backslashreplace") for name in names}
    assert [each.name for each in listed if drop.stat(f"outbox/{each.name}") is None] == [r"caf\xe9"]


def test_a_listing_of_a_missing_directory_fails(drop: RemoteDrop) -> None:
    """A directory that is not there is never an empty one."""
    with pytest.raises(DeliveryFailed, match=r"no such file.*list 'nowhere'"):
        drop.listing("nowhere")


def test_a_listing_has_a_limit(drop: RemoteDrop, account: SftpAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory with more entries than allowed is refused as a whole, and the session goes on."""
    monkeypatch.setattr("transfer.sftp_listing.LISTING_MAX", 3)
    for name in "abcde":
        (account.root / "outbox" / name).write_bytes(b"1")
    with pytest.raises(DeliveryFailed, match="more than 3 entries"):
        drop.listing("outbox")
    assert drop.stat("outbox/a") is not None


def test_a_download_has_a_limit(drop: RemoteDrop, account: SftpAccount, tmp_path: Path) -> None:
    """A file above the limit is refused before a byte is written."""
    (account.root / "outbox/a").write_bytes(b"123456")
    with pytest.raises(DeliveryFailed, match="has 6 bytes, more than the 5 allowed"):
        drop.download("outbox/a", tmp_path / "back", bytes_max=5)
    assert not (tmp_path / "back").exists()


def test_a_failed_download_leaves_nothing_behind(drop: RemoteDrop, tmp_path: Path) -> None:
    """Without a whole file there is no local file, not even an older one of that name."""
    (tmp_path / "back").write_bytes(b"older")
    with pytest.raises(DeliveryFailed, match=r"no such file"):
        drop.download("outbox/absent", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_refusal_does_not_end_the_session(drop: RemoteDrop, account: SftpAccount, tmp_path: Path) -> None:
    """After a refused act the same session still delivers."""
    write(tmp_path / "out", 70_000)
    with pytest.raises(DeliveryFailed):
        drop.upload(tmp_path / "out", "nowhere/a")
    drop.upload(tmp_path / "out", "inbox/a")
    assert (account.root / "inbox/a").stat().st_size == 70_000


@pytest.mark.parametrize("path", ["", "inbox/a\0b", "inbox/\udce9"])
def test_a_path_that_servers_read_differently_is_not_sent(drop: RemoteDrop, path: str) -> None:
    """An empty path, one with NUL, or one that is no text never reaches the server."""
    with pytest.raises(NotAllowed, match="no path for a remote file"):
        drop.remove(path)


def test_the_fingerprint_is_that_of_the_servers_key(drop: RemoteDrop, account: SftpAccount) -> None:
    """`host_key` is what `ssh-keygen -l` prints for the server's key."""
    digest = hashlib.sha256(base64.b64decode(account.host_key.split()[1])).digest()
    assert drop.host_key == "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def test_an_upload_needs_the_memory_of_some_blocks_only(drop: RemoteDrop, tmp_path: Path) -> None:
    """24 MiB go up and down within 12 MiB of memory."""
    write(tmp_path / "out", 24 << 20)
    tracemalloc.start()
    try:
        drop.upload(tmp_path / "out", "inbox/a")
        drop.download("inbox/a", tmp_path / "back")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 << 20


@needs_sshd
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_kind_of_key_works_on_both_sides(tmp_path: Path, kind: str) -> None:
    """Ed25519, ECDSA and RSA serve as host key and as our key, and only pinned kinds are negotiated."""
    others = {"ed25519", "ecdsa", "rsa"} - {kind}
    with (
        openssh_server(tmp_path, host_keys=[*sorted(others), kind], client_key=kind) as account,
        connect(settings(account), key=account.client_key, password=None) as drop,
    ):
        assert drop.listing("inbox") == []


@needs_sshd
def test_a_second_pinned_key_is_as_good_as_the_first(tmp_path: Path) -> None:
    """While an acquirer changes its host key, the old and the new one may both be pinned."""
    new = public_line(private_key())
    with openssh_server(tmp_path) as account:
        pins = settings(account, host_keys=[f"{new} next year", f"{account.host_key} today"])
        with connect(pins, key=account.client_key, password=None) as drop:
            assert drop.listing("inbox") == []


@needs_sshd
def test_keys_are_exchanged_again_in_mid_file(tmp_path: Path) -> None:
    """A server that asks for new keys after every mebibyte still gets and gives whole files."""
    data = write(tmp_path / "out", 6 << 20)
    with (
        openssh_server(tmp_path, more={"RekeyLimit": "1M"}) as account,
        connect(settings(account), key=account.client_key, password=None) as drop,
    ):
        drop.upload(tmp_path / "out", "inbox/a")
        drop.download("inbox/a", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


def test_a_password_is_accepted(tmp_path: Path) -> None:
    """Where the acquirer gives a password instead of taking a key, it opens the session."""
    with (
        asyncssh_server(tmp_path, password="correct") as account,
        connect(settings(account), key=None, password=b"correct\n") as drop,
    ):
        assert drop.listing("inbox") == []
    assert account.seen.passwords == ["correct"]


def test_without_key_and_password_nothing_is_tried(tmp_path: Path) -> None:
    """A configuration without any credential is wrong before a connection is opened."""
    nowhere = Sftp(host="127.0.0.1", port=1, user="u", host_keys=[public_line(private_key())])
    with pytest.raises(WrongConfiguration, match="neither `key` nor `password`"):
        connect(nowhere, key=None, password=None).__enter__()
