"""The SFTP server in front of the desk: public keys only, a partner sees its own three folders and nothing else.

inbox    write, rename to a free name, remove      outbox    read, remove      archive    read
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh

from local.acquirer.settings import Settings, WrongSettings

CONNECTIONS_MAX = 16
FILES_OPEN_MAX = 128
FILE_BYTES_MAX = 4 * 2**30
NAME_BYTES_MAX = 200
LOGIN_S_MAX = 15
KEEPALIVE_S = 30
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr")
FOLDERS = (b"inbox", b"outbox", b"archive")
WRITING = asyncssh.FXF_WRITE | asyncssh.FXF_APPEND | asyncssh.FXF_CREAT | asyncssh.FXF_TRUNC


class Door(asyncssh.SSHServer):  # type: ignore[misc]  # asyncssh is untyped here, as the configuration of mypy says
    """Who may come in: a partner by name, with one of the authorized keys, while there is room."""

    def __init__(self, names: frozenset[str], keys: frozenset[bytes], guests: set[Any]) -> None:
        self._names = names
        self._keys = keys
        self._guests = guests
        self._connection: Any = None

    def connection_made(self, conn: Any) -> None:
        self._connection = conn
        if len(self._guests) >= CONNECTIONS_MAX:
            conn.abort()
        else:
            self._guests.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._guests.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        del username
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: Any) -> bool:
        return username in self._names and key.public_data in self._keys


class Drop(asyncssh.SFTPServer):  # type: ignore[misc]  # see Door
    """One partner's view. Paths have at most a folder and a name, so that there is nothing to climb out of."""

    def __init__(self, chan: Any, directory: Path) -> None:
        user = chan.get_extra_info("username")
        super().__init__(chan, chroot=os.fsencode(directory / "acquirer" / user))
        self._root = os.fsencode(directory / "acquirer" / user)
        self._open = 0

    def map_path(self, path: bytes) -> bytes:
        """Raises SFTPNoSuchFile for anything but the root, its folders and the names in them."""
        parts = _parts(path)
        if len(parts) > 2 or (parts and parts[0] not in FOLDERS):
            raise asyncssh.SFTPNoSuchFile("no such file")
        mapped = posixpath.join(self._root, *parts)
        if Path(os.fsdecode(mapped)).is_symlink():
            raise asyncssh.SFTPPermissionDenied("links are not followed")
        return mapped

    def realpath(self, path: bytes) -> bytes:
        self.map_path(path)
        return b"/" + b"/".join(_parts(path))

    def open(self, path: bytes, pflags: int, attrs: Any) -> object:
        if pflags & WRITING:
            _require(path, b"inbox")
        if self._open >= FILES_OPEN_MAX:
            raise asyncssh.SFTPFailure("too many open files")
        attrs.permissions = None  # a client's mode must not keep the desk from reading
        opened: object = super().open(path, pflags, attrs)
        self._open += 1
        return opened

    def close(self, file_obj: object) -> None:
        self._open -= 1
        super().close(file_obj)

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        if offset + len(data) > FILE_BYTES_MAX:
            raise asyncssh.SFTPFailure("file too large")
        written: int = super().write(file_obj, offset, data)
        return written

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Refuses a taken name. No other client's request runs between the look and the rename: one loop, no await."""
        _require(oldpath, b"inbox")
        _require(newpath, b"inbox")
        old, new = (Path(os.fsdecode(self.map_path(path))) for path in (oldpath, newpath))
        if new.exists():
            raise asyncssh.SFTPFileAlreadyExists("target exists")
        if not old.is_file():
            raise asyncssh.SFTPNoSuchFile("no such file")
        old.rename(new)

    def remove(self, path: bytes) -> None:
        _require(path, b"inbox", b"outbox")
        super().remove(path)

    async def scandir(self, path: bytes) -> AsyncIterator[Any]:
        """The root lists its folders only: the acquirer's own notes lie beside them."""
        at_root = not _parts(path)
        async for entry in super().scandir(path):
            if not at_root or entry.filename in {b".", b"..", *FOLDERS}:
                yield entry

    def _refused(self, *_: object) -> None:
        raise asyncssh.SFTPOpUnsupported("not offered")

    open56 = posix_rename = mkdir = rmdir = setstat = lsetstat = fsetstat = symlink = link = readlink = _refused


def _parts(path: bytes) -> list[bytes]:
    return [part for part in posixpath.normpath(posixpath.join(b"/", path)).split(b"/") if part]


def _require(path: bytes, *folders: bytes) -> None:
    """A harmless name in one of these folders. Raises SFTPPermissionDenied."""
    parts = _parts(path)
    harmless = (
        len(parts) == 2 and len(parts[1]) <= NAME_BYTES_MAX and all(byte >= 32 and byte != 127 for byte in parts[1])
    )
    if not harmless or parts[0] not in folders:
        raise asyncssh.SFTPPermissionDenied("not allowed here")


async def listen(directory: Path, settings: Settings) -> Any:
    """Start serving; returns asyncssh's acceptor. Raises WrongSettings, and OSError for a taken port or a missing file."""
    keys = directory / "acquirer" / "keys"
    authorized = asyncssh.read_public_key_list(str(keys / "authorized_keys"))
    if not authorized:
        raise WrongSettings(f"{keys / 'authorized_keys'}: holds no public key")
    allowed = frozenset(key.public_data for key in authorized)
    names = frozenset(partner.name for partner in settings.partners)
    guests: set[Any] = set()
    return await asyncssh.listen(
        settings.host,
        settings.port,
        server_factory=lambda: Door(names, allowed, guests),
        server_host_keys=[str(keys / "host_ed25519")],
        sftp_factory=lambda chan: Drop(chan, directory),
        sftp_version=3,
        allow_scp=False,
        encryption_algs=CIPHERS,
        compression_algs=None,
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
        gss_host=None,
        login_timeout=LOGIN_S_MAX,
        keepalive_interval=KEEPALIVE_S,
        agent_forwarding=False,
        x11_forwarding=False,
        reuse_address=True,
    )
