"""Turns what a mounted directory answers into our errors: a definite no, or no answer that can be trusted."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from payments.errors import DeliveryFailed, Unreachable

DEFINITE = frozenset(
    {
        errno.ENOENT,
        errno.EEXIST,
        errno.EACCES,
        errno.EPERM,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.ENAMETOOLONG,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.EFBIG,
        errno.EXDEV,
        errno.EINVAL,
        errno.ENOSYS,
        errno.EOPNOTSUPP,
        errno.ENXIO,
    }
)
"""The file system's own no. Any other error (a share that went away, a disk that fails) says nothing about what happened (I6)."""

NEXT_STEPS = {
    errno.ENOENT: "Check `inbox`, `outbox` and `results.archive` of this acquirer: folders are never made by us.",
    errno.EEXIST: "The name was taken; it is tried again under another.",
    errno.EACCES: "Ask the acquirer for the right to write into its inbox and to read its outbox.",
    errno.ENOSPC: "Ask the acquirer to free space; it is tried again.",
    errno.EOPNOTSUPP: "This file system cannot rename without replacing: ask for another kind of share.",
}


@contextmanager
def acting(act: str, path: str) -> Iterator[None]:
    """Raises DeliveryFailed where the answer is a definite no, Unreachable where it is none."""
    try:
        yield
    except OSError as error:
        code = error.errno or 0
        said = f"{os.strerror(code).lower()}: cannot {act} {shown(path)}"
        if code in DEFINITE and act != "open":
            raise DeliveryFailed(said, next_step=NEXT_STEPS.get(code, "")) from error
        raise Unreachable(
            said, next_step="Check that the acquirer's share is mounted and answers; it is tried again."
        ) from error


def shown(path: str) -> str:
    """A path for a message: whatever it holds, one harmless line."""
    return ascii(path[:200])
