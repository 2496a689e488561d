"""Keeps objects as files: put-if-absent by hard link, durable when a put returns.

    temporary file in .tmp  --write, fsync-->  hard link to its name  --fsync of the directory-->  durable
                                                   | the name is taken: hash what is stored, adopt it

A crash before the link leaves only a temporary file, which nobody reads; a crash after it leaves the whole object.
A rename would replace an object that somebody else stored in between; a link cannot.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

from payments.errors import SetAside, TieoutError, Unreachable, WrongConfiguration
from payments.ports import StoredObject
from runtime.objects import (
    GET_BYTES_MAX,
    HIDDEN,
    allowed,
    check_key,
    check_prefix,
    measured,
    missing,
    pieces_of,
    too_large,
)

DIRECTORY_MODE = 0o700
LEFTOVER_AGE = timedelta(days=1)
KNOWN_DIRECTORIES_MAX = 10_000
NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
BAD_NAME = frozenset({errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG})


class FileStore:
    """An ObjectStore in one directory of this machine. Files have mode 0600, directories 0700."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._temporary = self._root / HIDDEN
        self._durable: set[Path] = set()

    def put(self, key: str, data: bytes) -> StoredObject:
        with self._translated(key):
            return self._stored(key, [data])

    def put_file(self, key: str, path: Path) -> StoredObject:
        # Copied, never linked: whoever writes into the spooled file later must not change what is stored.
        with self._translated(key), path.open("rb") as stream:
            return self._stored(key, pieces_of(stream))

    def get(self, key: str) -> bytes:
        path = self._existing(key)
        with self._translated(key), path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > GET_BYTES_MAX:
                raise too_large(key, size)
            return stream.read()

    @contextlib.contextmanager
    def local(self, key: str) -> Iterator[Path]:
        """The stored file itself: it must not be written to."""
        yield self._existing(key)

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys under a prefix in the order of their bytes; foreign names that are no keys are left out."""
        check_prefix(prefix)
        with self._translated(prefix):
            yield from filter(allowed, self._walk(self._root, "", prefix))

    def exists(self, key: str) -> bool:
        path = self._path(key)
        with self._translated(key):
            return path.is_file()

    def clean(self, age: timedelta = LEFTOVER_AGE) -> int:
        """Remove temporary files that a killed process left longer than `age` ago; how many there were.

        The age is measured on the file system's clock, not the service's: a virtual clock says nothing about files.
        """
        before, removed = time.time() - age.total_seconds(), 0
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._temporary):
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime <= before:
                        Path(entry.path).unlink()
                        removed += 1
        return removed

    def expire(self, store: str, age: timedelta) -> int:
        """Remove the objects of one store that are older, by the file system's clock; how many there were."""
        before, removed = time.time() - age.total_seconds(), 0
        for key in list(self.keys(f"{store}/")):
            with self._translated(key), contextlib.suppress(FileNotFoundError):
                path = self._path(key)
                if path.stat().st_mtime <= before:
                    path.unlink()
                    removed += 1
        return removed

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _existing(self, key: str) -> Path:
        if not self.exists(key):
            raise missing(key)
        return self._path(key)

    def _stored(self, key: str, pieces: Iterable[bytes]) -> StoredObject:
        target = self._path(key)
        self._make(target.parent)
        if target.exists():
            return self._adopted(key, target)
        with self._spooled(pieces) as (temporary, size, sha256):
            try:
                os.link(temporary, target, follow_symlinks=False)
            except FileExistsError:
                return self._adopted(key, target)
            except OSError as error:
                raise self._link_error(error) from error
        _sync(target.parent)
        return StoredObject(key, size, sha256)

    def _adopted(self, key: str, target: Path) -> StoredObject:
        with target.open("rb") as stream:
            size, sha256 = measured(pieces_of(stream))
        # The writer may have been killed between its link and its fsync: whoever adopts makes the name durable.
        _sync(target.parent)
        return StoredObject(key, size, sha256, adopted=True)

    @contextlib.contextmanager
    def _spooled(self, pieces: Iterable[bytes]) -> Iterator[tuple[Path, int, str]]:
        """A temporary file that holds all pieces durably, with its size and hash; removed at the end."""
        self._make(self._temporary)
        number, name = tempfile.mkstemp(dir=self._temporary)
        try:
            digest, size = hashlib.sha256(), 0
            with os.fdopen(number, "wb") as file:
                for piece in pieces:
                    digest.update(piece)
                    size += file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            yield Path(name), size, digest.hexdigest()
        finally:
            Path(name).unlink(missing_ok=True)

    def _make(self, directory: Path) -> None:
        """Make a directory of the store and its parents, durably; those made or seen before are known to be."""
        if directory in self._durable and directory.is_dir():
            return
        self._root.parent.mkdir(parents=True, exist_ok=True)
        for each in reversed([each for each in (directory, *directory.parents) if each.is_relative_to(self._root)]):
            if each in self._durable and each.is_dir():
                continue
            each.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
            # Also when it was there: another process may have made it a moment ago and not yet have synced it.
            _sync(each.parent)
            self._durable.add(each)
        if len(self._durable) > KNOWN_DIRECTORIES_MAX:
            self._durable.clear()

    def _walk(self, directory: Path, base: str, prefix: str) -> Iterator[str]:
        try:
            with os.scandir(directory) as entries:
                # A directory sorts with its slash: so the walk gives the order of whole keys.
                names = sorted(
                    f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
                    for entry in entries
                    if base or entry.name != HIDDEN
                )
        except FileNotFoundError:
            return
        for name in names:
            key = base + name
            if name.endswith("/"):
                if key.startswith(prefix) or prefix.startswith(key):
                    yield from self._walk(directory / name, key, prefix)
            elif key.startswith(prefix):
                yield key

    def _link_error(self, error: OSError) -> TieoutError | OSError:
        if error.errno not in NO_LINKS:
            return error
        return WrongConfiguration(
            f"stores: the file system of {self._root} cannot make hard links, which put-if-absent needs",
            next_step="Put the store on a local file system such as ext4, xfs or apfs.",
        )

    @contextlib.contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(key, error) from error

    def _error(self, key: str, error: OSError) -> TieoutError:
        if error.errno in NO_SPACE:
            return Unreachable(
                f"no space left at {self._root}: object {key!a} was not stored",
                next_step=f"Free space at {self._root}: nothing was lost, and the work goes on by itself.",
            )
        if error.errno in BAD_NAME:
            return SetAside(
                f"object {key!a} cannot be stored: a part of its key names an object, or it names a directory"
            )
        reason = errno.errorcode.get(error.errno or 0, "unknown error")
        return Unreachable(
            f"the store at {self._root} refused object {key!a}: {reason}",
            next_step=f"Check that this account may read and write at {self._root}. Then give the command again; what the"
            " service does goes on by itself.",
        )


def _sync(directory: Path) -> None:
    """Make the names in a directory durable."""
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
