"""What a child process of the service owes its parent: never to outlive it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> bool:
    """Ask the system, where it can, to kill this process when `parent` ends. False: it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Asked only now: the parent may have died before the system knew.
    return os.getppid() == parent
