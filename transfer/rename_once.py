"""Gives a file another name and never replaces one: in one step where the file system can, else by a second name.

The one step is renameat2(2) with RENAME_NOREPLACE (ext4, xfs, btrfs, tmpfs, CIFS). NFS cannot; there link(2) refuses a name that is taken, and
then the old name goes.
"""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache
from typing import Any

NO_REPLACE = 1
CANNOT = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def rename_once(folder: int, old: str, new: str, *, in_one_step: bool) -> None:
    """Both names are relative to the open directory `folder`.

    Raises FileExistsError: the new name is taken, nothing changed. OSError: as the system says; EOPNOTSUPP where it can do
    neither, or cannot do it in one step though `in_one_step` asks for it.
    """
    code = _in_one_step(folder, old, new)
    if code == 0:
        return
    if code not in CANNOT:
        raise OSError(code, os.strerror(code))
    if in_one_step:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    try:
        os.link(old, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except PermissionError as error:
        if error.errno == errno.EPERM:  # how Linux says that a file system has no links
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP)) from error
        raise
    os.unlink(old, dir_fd=folder)


def _in_one_step(folder: int, old: str, new: str) -> int:
    """0, or the system's error code."""
    call = _renameat2()
    if call is None:
        return errno.ENOSYS
    ctypes.set_errno(0)
    done = call(folder, os.fsencode(old), folder, os.fsencode(new), NO_REPLACE)
    return 0 if done == 0 else ctypes.get_errno()


@cache
def _renameat2() -> Any:
    """The C library's function; None where it has none."""
    found = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
        found.restype = ctypes.c_int
    return found
