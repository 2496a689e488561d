"""Says who acts: the operating-system user of this process, never a name that somebody typed."""

from __future__ import annotations

import os
import pwd

from payments.acting import Actor


def operating_system_user() -> Actor:
    """The real user of this process; one without a name is known by number."""
    number = os.getuid()
    try:
        return Actor(pwd.getpwuid(number).pw_name, verified=True)
    except KeyError:
        return Actor(f"uid-{number}", verified=True)
