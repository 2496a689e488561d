"""The acquirer's SFTP server as a RemoteDrop: nothing counts as done that the server did not confirm by an answer.

    upload   create exclusively -> blocks -> fsync where offered -> close -> stat: equal size?
    rename   is the target free? -> plain rename -> (answered no) what lies where now?

Every act has a limit: the server must complete an answer within `channel_timeout_s`, or the link is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from payments.config import Sftp
from payments.errors import DeliveryFailed, NotAllowed, TargetExists, Unreachable
from payments.ports import RemoteDrop, RemoteFile
from transfer.sftp_connect import Link, opened
from transfer.sftp_copy import Blocks, fetch, send
from transfer.sftp_errors import on_this_machine, shown, translated
from transfer.sftp_listing import plain_files, remote_file
from transfer.sftp_wire import Attributes, Code, Kind, Refused, Wire, attributes, text

DOWNLOAD_BYTES_MAX = 10_000_000_000


@contextmanager
def connect(settings: Sftp, *, key: bytes | None, password: bytes | None) -> Iterator[RemoteDrop]:
    """An open session with the acquirer, closed at the end; for one thread at a time.

    `key` is a private key in OpenSSH or PEM form without passphrase. With both given, the password is the second factor.
    Paths are relative to the directory in which the server starts the session.

    Raises WrongConfiguration (a key that cannot be read), HostKeyRefused (before any credential is sent), Unreachable.
    """
    with opened(settings, key=key, password=password) as link:
        with translated(link.server, "start SFTP"), link.watchdog.watching():
            wire = Wire(link.channel, link.watchdog.feed)
            blocks = Blocks(wire)
        yield SftpDrop(link, wire, blocks)


class SftpDrop:
    """RemoteDrop over one SFTP session."""

    def __init__(self, link: Link, wire: Wire, blocks: Blocks) -> None:
        self._link = link
        self._wire = wire
        self._blocks = blocks
        self._host_key = link.proven_key()

    @property
    def host_key(self) -> str:
        """As the port says, at the beginning of the latest act; it asks nobody, so that it can be told after the link is gone."""
        return self._host_key

    def stat(self, path: str) -> RemoteFile | None:
        with self._acting("look at", path):
            found = self._found(Kind.STAT, path)
        return None if found is None else remote_file(path.rpartition("/")[2], found)

    def upload(self, local: Path, temporary: str) -> None:
        """As the port says. A name that is taken gives DeliveryFailed, for it is only a temporary one: take another.

        After an error the temporary file may be left behind, whole or in part.
        """
        with (
            on_this_machine("open a file to upload"),
            local.open("rb") as source,
            self._acting("upload", temporary),
        ):
            try:
                size = send(self._wire, source, _bytes(temporary), self._blocks.write)
            except Refused as refused:
                self._explain_upload(refused, temporary)
                raise
            found = self._found(Kind.STAT, temporary)
        if found is None or found.size != size:
            there = "nothing is" if found is None else f"{found.size} bytes are"
            raise DeliveryFailed(
                f"{self._link.server} confirmed {size} bytes for {shown(temporary)}, but {there} there",
                next_step="Ask the acquirer whether something changes files in the inbox before they are renamed.",
            )

    def rename(self, temporary: str, target: str) -> None:
        """As the port says. The target is looked at first, because some servers replace it without a word."""
        with self._acting("rename to", target):
            if self._found(Kind.LSTAT, target) is not None:
                raise self._target_exists(target)
            number = self._wire.send(Kind.RENAME, text(_bytes(temporary)), text(_bytes(target)))
            try:
                self._wire.done(number)
            except Refused as refused:
                self._explain_rename(refused, temporary, target)
                raise

    def remove(self, path: str) -> bool:
        with self._acting("remove", path):
            try:
                self._wire.done(self._wire.send(Kind.REMOVE, text(_bytes(path))))
            except Refused as refused:
                if refused.code != Code.NO_SUCH_FILE:
                    raise
                return False
        return True

    def listing(self, directory: str) -> list[RemoteFile]:
        """As the port says; more than 100,000 entries give DeliveryFailed.

        Names are as the server sends them, hostile ones too: check a name before it becomes a path. Only what no database
        stores, bytes outside UTF-8 and NUL, is written in hexadecimal; a file with such a name cannot be asked for.
        """
        with self._acting("list", directory):
            return plain_files(self._wire, _bytes(directory))

    def download(self, path: str, local: Path, *, bytes_max: int = DOWNLOAD_BYTES_MAX) -> None:
        """Into a new or emptied local file, which is removed again when anything fails.

        Raises DeliveryFailed: not there, larger than `bytes_max`, changed while it was read.
        """
        try:
            with (
                on_this_machine("open a file to download into"),
                local.open("wb") as target,
                self._acting("download", path),
            ):
                size = self._size(path, bytes_max)
                fetch(self._wire, _bytes(path), size, target, self._blocks.read)
            _prove_written(local, size)
        except BaseException:
            # A part of a file must never be taken for the file, not even when we are being stopped.
            local.unlink(missing_ok=True)
            raise

    @contextmanager
    def _acting(self, verb: str, path: str) -> Iterator[None]:
        self._host_key = self._link.proven_key()
        with translated(self._link.server, f"{verb} {shown(path)}"), self._link.watchdog.watching():
            yield

    def _found(self, kind: Kind, path: str) -> Attributes | None:
        try:
            return attributes(self._wire.call(kind, text(_bytes(path)), expected=Kind.ATTRS))
        except Refused as refused:
            if refused.code == Code.NO_SUCH_FILE:
                return None
            raise

    def _size(self, path: str, bytes_max: int) -> int:
        found = self._found(Kind.STAT, path)
        if found is None:
            raise Refused(Code.NO_SUCH_FILE)
        size = remote_file(path, found).size
        if size > bytes_max:
            raise DeliveryFailed(
                f"{shown(path)} on {self._link.server} has {size} bytes, more than the {bytes_max} allowed",
                next_step="Ask the acquirer for smaller files, or raise `results.bytes_max` of this acquirer.",
            )
        return size

    def _explain_upload(self, refused: Refused, temporary: str) -> None:
        """The protocol has one code for a taken name and a full disk. Raises DeliveryFailed when it is one of these."""
        if refused.code == Code.FAILURE and self._found(Kind.LSTAT, temporary) is not None:
            raise DeliveryFailed(
                f"{self._link.server} did not take all of {shown(temporary)}: the name was taken, or its disk is full",
                next_step="Remove that temporary file or take another name; ask the acquirer about disk and quota.",
            ) from refused

    def _explain_rename(self, refused: Refused, temporary: str, target: str) -> None:
        """A refusal proves that nothing was placed only while our temporary file is still there.

        Otherwise somebody took it: Unreachable, as for a lost answer. Raises TargetExists when the target is there now.
        """
        if self._found(Kind.LSTAT, temporary) is None:
            raise Unreachable(
                f"{self._link.server} answered {refused.word!r} when asked to rename to {shown(target)}, but the"
                " temporary file is gone: the answer does not tell whether the file was placed",
                next_step="Ask the acquirer whether the file arrived, under its name or the temporary one.",
            ) from refused
        if self._found(Kind.LSTAT, target) is not None:
            raise self._target_exists(target) from refused

    def _target_exists(self, target: str) -> TargetExists:
        return TargetExists(f"{shown(target)} exists already on {self._link.server}")


def _bytes(path: str) -> bytes:
    # Some servers end a name at a NUL and would act on another file than the one we name.
    if path and "\0" not in path:
        with suppress(UnicodeEncodeError):
            return path.encode()
    raise NotAllowed(f"{shown(path)} is no path for a remote file")


def _prove_written(local: Path, size: int) -> None:
    written = local.stat().st_size
    if written != size:
        raise DeliveryFailed(f"{size} bytes were downloaded, but {written} are in the local file")
