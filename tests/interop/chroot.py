"""An OpenSSH server as banks run it: an ordinary account that is locked into its own directory and can do SFTP only."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.servers.openssh import openssh_server
from tests.servers.sftp_account import SftpAccount

ACCOUNT = "nobody"
PARENTS = ("/run", "/var/lib")
"""sshd refuses a directory that anybody but root could replace, and so any below /tmp."""
IMPOSSIBLE = f"only root may start sessions of the account {ACCOUNT} in a directory of their own"


def parent() -> str | None:
    """Where a directory can be made that sshd accepts; None when we are not root, or there is no such place."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError, StopIteration):
        pwd.getpwnam(ACCOUNT)
        return next(path for path in PARENTS if _is_safe(Path(path)))
    return None


def _is_safe(path: Path) -> bool:
    return all(
        each.is_dir() and each.stat().st_uid == 0 and not each.stat().st_mode & 0o022 for each in (path, *path.parents)
    )


@contextlib.contextmanager
def chrooted_server() -> Iterator[SftpAccount]:
    """A server whose account sees `root` of the account as `/`, and may write into inbox, outbox and archive only."""
    user = pwd.getpwnam(ACCOUNT)
    folder = Path(tempfile.mkdtemp(prefix="tieout-interop-", dir=parent()))
    try:
        folder.chmod(0o755)
        root = folder / "root"
        locked = {"ChrootDirectory": str(root), "ForceCommand": "internal-sftp", "PermitRootLogin": "no"}
        with openssh_server(folder, more={**locked, "AllowUsers": ACCOUNT, "DisableForwarding": "yes"}) as account:
            # Whatever the umask of the tests is: the account must read its key, and only root may write beside inbox.
            root.chmod(0o755)
            (folder / "authorized_keys").chmod(0o644)
            for name in ("inbox", "outbox", "archive"):
                os.chown(root / name, user.pw_uid, user.pw_gid)
            yield replace(account, user=ACCOUNT)
    finally:
        shutil.rmtree(folder)
