"""A directory that the acquirer shares with us, mounted on this machine, as a RemoteDrop: nothing in it is ever replaced.

    upload   create exclusively -> write -> fsync -> close -> fsync the folder -> stat: equal size?
    rename   one step that refuses a taken name; else a second name for the file (link), then the first one goes

A mounted share answers no request with a time-out of ours: mount it so that it gives up (`soft` for NFS).
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from payments.config_drops import DirectoryDrop
from payments.errors import DeliveryFailed, NotAllowed, TargetExists
from payments.remote_ports import RemoteDrop, RemoteFile
from transfer.drop_directory_errors import acting, shown
from transfer.rename_once import rename_once

DOWNLOAD_BYTES_MAX = 10_000_000_000
LISTING_MAX = 100_000
PIECE_BYTES = 1 << 20
NO_KEY = "none: a mounted directory"
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Whoever puts a pipe or a link where a result should lie neither stops us nor sends us elsewhere."""


@contextmanager
def connect(settings: DirectoryDrop) -> Iterator[RemoteDrop]:
    """The directory, held open, so that all acts of a session are on the same mount. Raises Unreachable: it is not there."""
    with acting("open", settings.path):
        root = os.open(settings.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield MountedDrop(root, in_one_step=settings.rename_atomic)
    finally:
        os.close(root)


class MountedDrop:
    """RemoteDrop over an open directory. `in_one_step`: a rename that the file system cannot do in one step is refused."""

    def __init__(self, root: int, *, in_one_step: bool) -> None:
        self._root = root
        self._in_one_step = in_one_step

    @property
    def host_key(self) -> str:
        """A mounted directory proves no key: whoever mounted it vouches for what is behind it."""
        return NO_KEY

    def stat(self, path: str) -> RemoteFile | None:
        """As the port says. Whatever has the name counts: also a link or a folder stops a file from taking it."""
        with acting("look at", path):
            try:
                found = os.stat(_inside(path), dir_fd=self._root, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return _remote_file(PurePosixPath(path).name, found)

    def upload(self, local: Path, temporary: str) -> None:
        """As the port says. After an error the temporary file may be left behind, whole or in part."""
        with _ours(local) as source, acting("upload", temporary):
            target = os.open(
                _inside(temporary),
                os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
                0o666,
                dir_fd=self._root,
            )
            try:
                size = _copy(source, target)
                os.fsync(target)
            finally:
                os.close(target)
            self._sync_folder(temporary)
            found = os.stat(_inside(temporary), dir_fd=self._root, follow_symlinks=False).st_size
        if found != size:
            raise DeliveryFailed(
                f"{size} bytes were written to {shown(temporary)}, but {found} bytes are there",
                next_step="Ask the acquirer whether something changes files in the inbox before they are renamed.",
            )

    def rename(self, temporary: str, target: str) -> None:
        """As the port says. The new name is on disk when this returns."""
        old, new = _inside(temporary), _inside(target)
        with acting("rename to", target):
            try:
                rename_once(self._root, old, new, in_one_step=self._in_one_step)
            except FileExistsError as error:
                raise TargetExists(f"{shown(target)} exists already") from error
            self._sync_folder(target)
            if PurePosixPath(old).parent != PurePosixPath(new).parent:
                self._sync_folder(temporary)

    def remove(self, path: str) -> bool:
        with acting("remove", path):
            try:
                os.unlink(_inside(path), dir_fd=self._root)
            except (FileNotFoundError, NotADirectoryError):
                return False
            self._sync_folder(path)
        return True

    def listing(self, directory: str) -> list[RemoteFile]:
        """As the port says; bytes outside UTF-8 are written in hexadecimal, and such a file cannot be asked for."""
        found = []
        with acting("list", directory), self._folder(directory) as folder, os.scandir(folder) as entries:
            for count, entry in enumerate(entries, 1):
                if count > LISTING_MAX:
                    raise DeliveryFailed(
                        f"{shown(directory)} lists more than {LISTING_MAX} entries",
                        next_step="Ask the acquirer to clear it; nothing of it is collected before.",
                    )
                with suppress(FileNotFoundError):  # taken away while we look
                    if not entry.is_dir(follow_symlinks=False):
                        name = os.fsencode(entry.name).decode(errors="backslashreplace")
                        found.append(_remote_file(name, entry.stat(follow_symlinks=False)))
        return sorted(found, key=lambda each: each.name)

    def download(self, path: str, local: Path, *, bytes_max: int = DOWNLOAD_BYTES_MAX) -> None:
        """Into a new or emptied local file, removed again when anything fails, also when the source changed meanwhile."""
        try:
            with acting("download", path):
                source = os.open(_inside(path), READ_FLAGS, dir_fd=self._root)
            try:
                with acting("download", path):
                    before = os.fstat(source)
                _check_readable(path, before, bytes_max)
                with _ours(local, writing=True) as target, acting("download", path):
                    size = _copy(source, target, bytes_max)
                    os.fsync(target)
                    after = os.fstat(source)
            finally:
                os.close(source)
            _check_unchanged(path, size, before, after)
        except BaseException:
            # A part of a file must never be taken for the file, not even when we are being stopped.
            local.unlink(missing_ok=True)
            raise

    @contextmanager
    def _folder(self, directory: str) -> Iterator[int]:
        opened = os.open(_inside(directory), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._root)
        try:
            yield opened
        finally:
            os.close(opened)

    def _sync_folder(self, path: str) -> None:
        """A name survives a power cut only once its folder is on disk."""
        with self._folder(str(PurePosixPath(_inside(path)).parent)) as folder:
            os.fsync(folder)


def _inside(path: str) -> str:
    """The path, when it names a place below the root that every system reads the same way. Raises NotAllowed."""
    parts = path.split("/")
    if "\0" in path or any(part in {"", ".", ".."} for part in parts) or not _is_text(path):
        raise NotAllowed(f"{shown(path)} is no path for a remote file")
    return path


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _remote_file(name: str, found: os.stat_result) -> RemoteFile:
    return RemoteFile(name, found.st_size, int(found.st_mtime), plain=stat.S_ISREG(found.st_mode))


def _check_readable(path: str, found: os.stat_result, bytes_max: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise DeliveryFailed(f"{shown(path)} is no plain file")
    if found.st_size > bytes_max:
        raise DeliveryFailed(f"{shown(path)} has {found.st_size} bytes, more than the {bytes_max} allowed")


def _check_unchanged(path: str, size: int, before: os.stat_result, after: os.stat_result) -> None:
    if (size, after.st_size, after.st_mtime_ns) != (before.st_size, before.st_size, before.st_mtime_ns):
        raise DeliveryFailed(f"{shown(path)} changed while it was read")


@contextmanager
def _ours(local: Path, *, writing: bool = False) -> Iterator[int]:
    """A file of this machine. What is wrong with it is no fault of the acquirer's side."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if writing else os.O_RDONLY
    try:
        opened = os.open(local, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        what = "open a file to download into" if writing else "open a file to upload"
        raise DeliveryFailed(
            f"this machine could not {what}: {os.strerror(error.errno or 0)}",
            next_step="Check the spool folder and the free space of this machine; it is tried again.",
        ) from error
    try:
        yield opened
    finally:
        os.close(opened)


def _copy(source: int, target: int, bytes_max: int = sys.maxsize) -> int:
    """Returns how many bytes were read: more than `bytes_max`, and the rest is left where it is."""
    size = 0
    while size <= bytes_max and (piece := os.read(source, PIECE_BYTES)):
        size += len(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(target, view) :]
    return size
