"""Servers that misbehave while files move, one fault at a time: none may end as done, each ends in the error that fits (T1, T5)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from payments.errors import DeliveryFailed, TargetExists, TieoutError, Unreachable
from payments.remote_ports import RemoteDrop
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.sftp_account import settings
from transfer.sftp import connect

SIZE = 1_000_000
LIMIT_S = 1
SILENCE_S = 15.0


@contextmanager
def session(folder: Path, files: type[asyncssh.SFTPServer], **server: Any) -> Iterator[tuple[RemoteDrop, Path]]:
    """A session with a server of our making, and the directory of its files."""
    with ExitStack() as stack:
        account = stack.enter_context(asyncssh_server(folder, files=files, **server))
        drop = stack.enter_context(
            connect(settings(account, channel_timeout_s=LIMIT_S), key=account.client_key, password=None)
        )
        yield drop, account.root


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "out"
    path.write_bytes(bytes(range(250)) * (SIZE // 250))
    return path


class Denies(asyncssh.SFTPServer):
    """Nobody may create a file here."""

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        raise asyncssh.SFTPPermissionDenied("canary DE89370400440532013000")


class FailsThirdWrite(asyncssh.SFTPServer):
    """Its disk is full after two blocks."""

    writes = 0

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        self.writes += 1
        if self.writes == 3:
            raise asyncssh.SFTPFailure("no space")
        return super().write(file_obj, offset, data)


class FailsClose(asyncssh.SFTPServer):
    """All is well until the file is closed."""

    def close(self, file_obj: Any) -> None:
        file_obj.close()
        raise asyncssh.SFTPFailure("quota")


class FailsSync(asyncssh.SFTPServer):
    """Offers fsync, and its disk fails it."""

    def fsync(self, file_obj: object) -> None:
        raise asyncssh.SFTPFailure("disk")


class NoSync(asyncssh.SFTPServer):
    """Offers fsync by mistake."""

    def fsync(self, file_obj: object) -> None:
        raise asyncssh.SFTPOpUnsupported("fsync")


class Shortens(asyncssh.SFTPServer):
    """Confirms everything and keeps all but the last byte."""

    def close(self, file_obj: Any) -> None:
        if file_obj.writable():
            file_obj.truncate(SIZE - 1)
        file_obj.close()


class Vanishes(asyncssh.SFTPServer):
    """Confirms everything, and somebody takes the file at once."""

    def close(self, file_obj: Any) -> None:
        file_obj.close()
        Path(file_obj.name.decode()).unlink()


class Unknown(asyncssh.SFTPServer):
    """Fails in a way that its authors never thought of."""

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        raise ValueError("surprise")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (Denies, "permission denied"),
        (FailsThirdWrite, "name was taken, or its disk is full"),
        (FailsClose, "name was taken, or its disk is full"),
        (FailsSync, "name was taken, or its disk is full"),
        (Shortens, "confirmed 1000000 bytes .* but 999999 bytes are there"),
        (Vanishes, "confirmed 1000000 bytes .* but nothing is there"),
        (Unknown, "name was taken, or its disk is full"),
    ],
)
def test_an_upload_that_is_not_whole_never_succeeds(
    tmp_path: Path, local: Path, files: type[asyncssh.SFTPServer], says: str
) -> None:
    """Whatever step the server fails, the upload fails, names the file and the next step, and quotes nothing."""
    with session(tmp_path, files) as (drop, _root):
        with pytest.raises(DeliveryFailed, match=says) as caught:
            drop.upload(local, "inbox/.a.tmp")
        assert drop.stat("inbox/a") is None
    assert "'inbox/.a.tmp'" in str(caught.value)
    assert "acquirer" in caught.value.next_step
    assert "DE89" not in str(caught.value)


def test_a_server_without_fsync_still_takes_files(tmp_path: Path, local: Path) -> None:
    """That fsync is not supported is no reason to fail."""
    with session(tmp_path, NoSync) as (drop, root):
        drop.upload(local, "inbox/.a.tmp")
        assert (root / "inbox/.a.tmp").stat().st_size == SIZE


class RefusesRename(asyncssh.SFTPServer):
    """Answers no, and has done nothing."""

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("rename")


class TakenMeanwhile(asyncssh.SFTPServer):
    """Somebody takes the target's name after we looked."""

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        Path(self.map_path(newpath).decode()).write_bytes(b"theirs")
        raise asyncssh.SFTPFailure("exists")


class RenamesAndRefuses(asyncssh.SFTPServer):
    """Renames, and then answers no."""

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        super().rename(oldpath, newpath)
        raise asyncssh.SFTPFailure("strange")


class RenamesAndHangsUp(asyncssh.SFTPServer):
    """Renames, and the line is cut before the answer."""

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        super().rename(oldpath, newpath)
        self.connection.abort()


class RenamesInSilence(asyncssh.SFTPServer):
    """Renames, and never answers."""

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        asyncssh.SFTPServer.rename(self, oldpath, newpath)
        await asyncio.sleep(SILENCE_S)


@pytest.mark.parametrize(
    ("files", "error", "says", "placed"),
    [
        (RefusesRename, DeliveryFailed, "permission denied", None),
        (TakenMeanwhile, TargetExists, "exists already", b"theirs"),
        (RenamesAndRefuses, Unreachable, "does not tell whether the file was placed", b"ours"),
        (RenamesAndHangsUp, Unreachable, "cut off", b"ours"),
        (RenamesInSilence, Unreachable, "did not answer in time", b"ours"),
    ],
)
def test_a_rename_says_only_what_is_proved(
    tmp_path: Path, files: type[asyncssh.SFTPServer], error: type[TieoutError], says: str, placed: bytes | None
) -> None:
    """Only an answer with our file still under its temporary name proves that nothing was placed; else it is Unreachable."""
    with session(tmp_path, files) as (drop, root):
        (root / "inbox/.a.tmp").write_bytes(b"ours")
        with pytest.raises(error, match=says) as caught:
            drop.rename("inbox/.a.tmp", "inbox/a")
        assert type(caught.value) is error
        assert ((root / "inbox/a").read_bytes() if placed else None) == placed
        assert (root / "inbox/.a.tmp").exists() == (placed != b"ours")


def test_a_temporary_file_that_somebody_took_is_a_doubt(tmp_path: Path) -> None:
    """When the temporary file is gone before the rename, nobody knows who has it: never a proof of failure."""
    with (
        session(tmp_path, asyncssh.SFTPServer) as (drop, _root),
        pytest.raises(Unreachable, match="temporary file is gone"),
    ):
        drop.rename("inbox/.a.tmp", "inbox/a")


class Grows(asyncssh.SFTPServer):
    """The file that is read grows while it is read."""

    def read(self, file_obj: Any, offset: int, size: int) -> bytes:
        data = super().read(file_obj, offset, size)
        with Path(file_obj.name.decode()).open("ab") as more:
            more.write(b"x")
        return data


class Shrinks(asyncssh.SFTPServer):
    """The file that is read is cut short while it is read."""

    def read(self, file_obj: Any, offset: int, size: int) -> bytes:
        return super().read(file_obj, offset, size) if offset < SIZE // 2 else b""


class ReadsPieces(asyncssh.SFTPServer):
    """Gives at most 1,000 bytes at a time."""

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        return super().read(file_obj, offset, min(size, 1_000))


@pytest.mark.parametrize(("files", "says"), [(Grows, "longer than it was"), (Shrinks, "shorter than it was")])
def test_a_file_that_changes_while_it_is_read_is_not_taken(
    tmp_path: Path, local: Path, files: type[asyncssh.SFTPServer], says: str
) -> None:
    """A download is the file as it was when its size was told, or it is nothing."""
    with session(tmp_path, files) as (drop, root):
        (root / "outbox/a").write_bytes(local.read_bytes())
        with pytest.raises(DeliveryFailed, match=says):
            drop.download("outbox/a", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_server_with_small_answers_gives_whole_files(tmp_path: Path, local: Path) -> None:
    """Blocks that come in pieces are put together."""
    with session(tmp_path, ReadsPieces) as (drop, root):
        (root / "outbox/a").write_bytes(local.read_bytes())
        drop.download("outbox/a", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == local.read_bytes()


def test_a_full_disk_here_is_not_blamed_on_the_server(tmp_path: Path, local: Path) -> None:
    """When this machine cannot write what it downloads, the error says so."""
    with session(tmp_path, asyncssh.SFTPServer) as (drop, root):
        (root / "outbox/a").write_bytes(local.read_bytes())
        with pytest.raises(DeliveryFailed, match="this machine could not write a downloaded file"):
            drop.download("outbox/a", Full(tmp_path / "back"))
        assert drop.stat("outbox/a") is not None


class Full(type(Path())):  # type: ignore[misc]
    """A path on a device that is always full."""

    def open(self, *args: Any, **options: Any) -> Any:
        return Path("/dev/full").open(*args, **options)
