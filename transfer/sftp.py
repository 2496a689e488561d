"""The acquirer's SFTP server as a RemoteDrop: nothing counts as done that the server did not confirm by an answer.

Each act is written once, in steps: alone it waits for its own answers, and with `begin` many are under way on one session.

    upload   create exclusively -> blocks -> fsync where offered -> close -> stat: equal size?
    rename   is the target free? -> plain rename -> (answered no) what lies where now?     (transfer/sftp_place.py)

Every act has a limit: the server must complete an answer within `channel_timeout_s`, and a transfer must move
`slowest_bytes_per_s`, or the link is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from payments.config import Sftp
from payments.errors import DeliveryFailed, TieoutError
from payments.remote_ports import RemoteDrop, RemoteFile
from transfer.many_acts import Act, Ended
from transfer.sftp_connect import NO_MORE, Link, opened
from transfer.sftp_copy import REQUESTS_MAX, Blocks, fetching, sending
from transfer.sftp_errors import on_this_machine, shown, translate, translated
from transfer.sftp_hash import hashed
from transfer.sftp_jobs import Jobs
from transfer.sftp_listing import files_of, remote_file
from transfer.sftp_login import MoreSecrets
from transfer.sftp_pace import Floor
from transfer.sftp_pins import Pins
from transfer.sftp_place import found, free, path_bytes, place, rename
from transfer.sftp_throttle import BYTES_PER_MB, Throttled
from transfer.sftp_wire import Attributes, Code, Kind, Refused, Steps, Stream, Wire, finish, text

DOWNLOAD_BYTES_MAX = 10_000_000_000


@contextmanager
def connect(
    settings: Sftp,
    *,
    key: bytes | None,
    password: bytes | None,
    accepted: Pins | None = None,
    more: MoreSecrets = NO_MORE,
) -> Iterator[RemoteDrop]:
    """An open session with the acquirer, closed at the end; for one thread at a time.

    `key` is a private key in OpenSSH or PEM form. With both given, the password is the second factor. `more` are the other
    secrets, `accepted` the host keys, instead of those of the settings alone. Paths are relative to the directory in which the
    server starts the session.

    Raises WrongConfiguration (a key that cannot be read), HostKeyRefused (before any credential is sent), Unreachable.
    """
    with opened(settings, key=key, password=password, accepted=accepted, more=more) as link:
        with translated(link.server, "start SFTP"), link.watchdog.watching():
            wire = Wire(_stream(settings, link), link.watchdog.feed)
            blocks = Blocks(wire)
        yield SftpDrop(link, wire, blocks)


def _stream(settings: Sftp, link: Link) -> Stream:
    if not settings.bandwidth_limit_mb_s:
        return link.channel  # type: ignore[no-any-return]
    return Throttled(link.channel, settings.bandwidth_limit_mb_s * BYTES_PER_MB)


class SftpDrop:
    """RemoteDrop and ManyActs over one SFTP session."""

    def __init__(self, link: Link, wire: Wire, blocks: Blocks) -> None:
        self._link = link
        self._wire = wire
        self._blocks = blocks
        self._host_key = link.proven_key()
        self._jobs = Jobs(wire, link.watchdog.watching, link.channel.recv_ready)
        self._floor = Floor(link.slowest_bytes_per_s, link.watchdog.limit_s, lambda: self._jobs.running)
        self._begun: dict[int, str] = {}  # ticket -> what is done, for an error
        self._tickets = 0
        self._requests = REQUESTS_MAX

    def keep_to(self, *, requests: int, write_bytes: int) -> None:
        """As Paced says; the first block of each file is never made to wait."""
        self._requests = min(self._requests, requests)
        self._blocks.write = min(self._blocks.write, write_bytes)

    @property
    def host_key(self) -> str:
        """As the port says, at the beginning of the latest act; it asks nobody, so that it can be told after the link is gone."""
        return self._host_key

    def stat(self, path: str) -> RemoteFile | None:
        found: RemoteFile | None = self._alone(Act("stat", (path,)))
        return found

    def upload(self, local: Path, temporary: str) -> None:
        """As the port says. A name that is taken gives DeliveryFailed, for it is only a temporary one: take another.

        After an error the temporary file may be left behind, whole or in part.
        """
        self._alone(Act("upload", (local, temporary)))

    def rename(self, temporary: str, target: str) -> None:
        """As the port says. The target is looked at first, because some servers replace it without a word."""
        self._alone(Act("rename", (temporary, target)))

    def remove(self, path: str) -> bool:
        gone: bool = self._alone(Act("remove", (path,)))
        return gone

    def download(self, path: str, local: Path, *, bytes_max: int = DOWNLOAD_BYTES_MAX) -> None:
        """Into a new or emptied local file, which is removed again when anything fails.

        Raises DeliveryFailed: not there, larger than `bytes_max`, changed while it was read.
        """
        self._alone(Act("download", (path, local, bytes_max)))

    def listing(self, directory: str) -> list[RemoteFile]:
        """As the port says; more than 100,000 entries give DeliveryFailed.

        Names are as the server sends them, hostile ones too: check a name before it becomes a path. Only what no database
        stores, bytes outside UTF-8 and NUL, is written in hexadecimal; a file with such a name cannot be asked for.
        """
        with self._acting(f"list {shown(directory)}"):
            return files_of(self._wire, path_bytes(directory))

    def sha256(self, path: str) -> str:
        """Hex SHA-256 of a file, by the server's own account. Raises DeliveryFailed where it does not offer that."""
        found: str = self._alone(Act("sha256", (path,)))
        return found

    def begin(self, act: Act) -> int:
        self._tickets += 1
        self._begun[self._tickets] = _words(act)
        self._jobs.begin(self._tickets, self._proven(act))
        return self._tickets

    def ended(self, *, wait: bool) -> Ended | None:
        ended = self._jobs.ended(wait=wait)
        if ended is None:
            return None
        words, error = self._begun.pop(ended.ticket), ended.error
        if not isinstance(error, Exception) or isinstance(error, TieoutError):
            return ended
        ours = translate(error, self._link.server, words)
        ours.__cause__ = error
        return Ended(ended.ticket, error=ours)

    def _alone(self, act: Act) -> Any:
        with self._acting(_words(act)):
            return finish(self._steps(act))

    @contextmanager
    def _acting(self, words: str) -> Iterator[None]:
        self._host_key = self._link.proven_key()
        with translated(self._link.server, words), self._link.watchdog.watching():
            yield

    def _proven(self, act: Act) -> Steps[Any]:
        # Asked inside the act, so that a link that is gone ends the act and not whoever begins it.
        self._host_key = self._link.proven_key()
        return (yield from self._steps(act))

    def _steps(self, act: Act) -> Steps[Any]:
        match act.verb:
            case "stat":
                return self._stat(*act.given)
            case "upload":
                return self._upload(*act.given)
            case "rename":
                return rename(self._wire, self._link.server, *act.given)
            case "free":
                return free(self._wire, self._link.server, *act.given)
            case "place":
                return self._place(*act.given)
            case "remove":
                return self._remove(*act.given)
            case "download":
                return self._download(*act.given)
            case "sha256":
                return hashed(self._wire, path_bytes(*act.given))

    def _stat(self, path: str) -> Steps[RemoteFile | None]:
        seen = yield from found(self._wire, Kind.STAT, path)
        return _remote(path, seen)

    def _upload(self, local: Path, temporary: str) -> Steps[None]:
        with on_this_machine("open a file to upload"):
            source = local.open("rb")
        with source:
            try:
                size = yield from sending(
                    self._wire, source, path_bytes(temporary), self._blocks.write, self._share, self._floor
                )
            except Refused as refused:
                yield from self._explain_upload(refused, temporary)
                raise
        seen = yield from found(self._wire, Kind.STAT, temporary)
        if seen is None or seen.size != size:
            there = "nothing is" if seen is None else f"{seen.size} bytes are"
            raise DeliveryFailed(
                f"{self._link.server} confirmed {size} bytes for {shown(temporary)}, but {there} there",
                next_step="Ask the acquirer whether something changes files in the inbox before they are renamed.",
            )

    def _place(self, temporary: str, target: str) -> Steps[RemoteFile | None]:
        seen = yield from place(self._wire, self._link.server, temporary, target)
        return (
            None if seen is None or seen.size is None else _remote(target, seen)
        )  # it was placed, whatever the look says

    def _remove(self, path: str) -> Steps[bool]:
        try:
            yield from self._wire.confirmed(self._wire.send(Kind.REMOVE, text(path_bytes(path))))
        except Refused as refused:
            if refused.code != Code.NO_SUCH_FILE:
                raise
            return False
        return True

    def _download(self, path: str, local: Path, bytes_max: int = DOWNLOAD_BYTES_MAX) -> Steps[None]:
        try:
            with on_this_machine("open a file to download into"):
                target = local.open("wb")
            try:
                size = yield from self._size(path, bytes_max)
                yield from fetching(
                    self._wire, path_bytes(path), size, target, self._blocks.read, self._share, self._floor
                )
                with on_this_machine("write a downloaded file"):
                    target.flush()
            finally:
                with suppress(OSError):  # a full disk has been told already, and would be told again here
                    target.close()
            _prove_written(local, size)
        except BaseException:
            # A part of a file must never be taken for the file, not even when we are being stopped.
            local.unlink(missing_ok=True)
            raise

    def _share(self) -> int:
        """How many blocks of one file may be under way now, so that all files move."""
        return max(1, self._requests // max(1, self._jobs.running))

    def _size(self, path: str, bytes_max: int) -> Steps[int]:
        seen = yield from found(self._wire, Kind.STAT, path)
        if seen is None:
            raise Refused(Code.NO_SUCH_FILE)
        size = remote_file(path, seen).size
        if size > bytes_max:
            raise DeliveryFailed(
                f"{shown(path)} on {self._link.server} has {size} bytes, more than the {bytes_max} allowed",
                next_step="Ask the acquirer for smaller files, or raise `results.bytes_max` of this acquirer.",
            )
        return size

    def _explain_upload(self, refused: Refused, temporary: str) -> Steps[None]:
        """The protocol has one code for a taken name and a full disk. Raises DeliveryFailed when it is one of these."""
        if refused.code == Code.FAILURE and (yield from found(self._wire, Kind.LSTAT, temporary)) is not None:
            raise DeliveryFailed(
                f"{self._link.server} did not take all of {shown(temporary)}: the name was taken, or its disk is full",
                next_step="Remove that temporary file or take another name; ask the acquirer about disk and quota.",
            ) from refused


def _remote(path: str, seen: Attributes | None) -> RemoteFile | None:
    return None if seen is None else remote_file(path.rpartition("/")[2], seen)


def _words(act: Act) -> str:
    """What an act does, for an error: it continues "when asked to"."""
    words = {"stat": "look at", "free": "look at", "rename": "rename to", "place": "rename to", "sha256": "hash"}
    return f"{words.get(act.verb, act.verb)} {shown(act.given[1 if act.verb in {'upload', 'rename', 'place'} else 0])}"


def _prove_written(local: Path, size: int) -> None:
    written = local.stat().st_size
    if written != size:
        raise DeliveryFailed(f"{size} bytes were downloaded, but {written} are in the local file")
