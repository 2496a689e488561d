"""Starts an SFTP server of paramiko on a free port of 127.0.0.1: the one that hashes files on request (check-file)."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko

from tests.servers.sftp_account import SftpAccount, private_key, public_line, start_directory

USER = "tieout"
SECONDS_MAX = 10.0


class _Door(paramiko.ServerInterface):
    """Lets everybody in: what this server is for begins behind the door."""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return int(paramiko.AUTH_SUCCESSFUL)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)


class _Files(paramiko.SFTPServerInterface):
    """Real files under a directory."""

    def __init__(self, server: paramiko.ServerInterface, root: Path) -> None:
        super().__init__(server)
        self._root = root

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def open(self, path: str, flags: int, attr: Any) -> Any:
        try:
            number = os.open(self._at(path), flags, 0o600)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        handle = paramiko.SFTPHandle(flags)
        file = os.fdopen(number, "wb" if flags & os.O_WRONLY else "rb", buffering=0)
        handle.readfile = handle.writefile = file
        handle.stat = lambda: paramiko.SFTPAttributes.from_stat(os.fstat(file.fileno()))
        return handle

    def stat(self, path: str) -> Any:
        return self._done(lambda: paramiko.SFTPAttributes.from_stat(self._at(path).stat()))

    def lstat(self, path: str) -> Any:
        return self._done(lambda: paramiko.SFTPAttributes.from_stat(self._at(path).lstat()))

    def list_folder(self, path: str) -> Any:
        return self._done(
            lambda: [
                paramiko.SFTPAttributes.from_stat(each.lstat(), each.name) for each in sorted(self._at(path).iterdir())
            ]
        )

    def remove(self, path: str) -> Any:
        return self._done(self._at(path).unlink) or paramiko.SFTP_OK

    def mkdir(self, path: str, attr: Any) -> Any:
        return self._done(self._at(path).mkdir) or paramiko.SFTP_OK

    def rmdir(self, path: str) -> Any:
        return self._done(self._at(path).rmdir) or paramiko.SFTP_OK

    def rename(self, oldpath: str, newpath: str) -> Any:
        return self._done(lambda: self._at(oldpath).rename(self._at(newpath)) and None) or paramiko.SFTP_OK

    def _done(self, act: Any) -> Any:
        try:
            return act()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)


@contextlib.contextmanager
def paramiko_server(folder: Path, door: paramiko.ServerInterface | None = None) -> Iterator[SftpAccount]:
    """A server for one connection, whose files live under `folder`/root. It renames as rename(2) does: it replaces.

    `door` decides who comes in, instead of everybody.
    """
    root, theirs = start_directory(folder), private_key()
    key = folder / "host_key"
    key.write_bytes(theirs)
    transports: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS_MAX)

        def serve() -> None:
            with contextlib.suppress(OSError):
                transport = paramiko.Transport(listener.accept()[0])
                transports.append(transport)
                transport.add_server_key(paramiko.Ed25519Key(filename=str(key)))
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, root)
                transport.start_server(event=threading.Event(), server=door or _Door())

        thread = threading.Thread(target=serve, name="paramiko server", daemon=True)
        thread.start()
        try:
            yield SftpAccount("127.0.0.1", listener.getsockname()[1], USER, private_key(), public_line(theirs), root)
        finally:
            listener.close()
            thread.join(SECONDS_MAX)
            for transport in transports:
                transport.close()
                transport.join(SECONDS_MAX)
