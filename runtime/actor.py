"""Says who acts: the operating-system user of this process, never a name that somebody typed."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from payments.acting import Actor

NO_SHELLS = frozenset({"nologin", "false"})


def operating_system_user() -> Actor:
    """The real user of this process; one without a name is known by number.

    A user that nobody can log in as stands for a service, such as that of the image, and so does a number that this machine
    knows no user of: whoever started it is not known, and two people would be one, or one two.
    """
    number = os.getuid()
    try:
        found = pwd.getpwuid(number)
    except KeyError:
        return Actor(f"uid-{number}", verified=False)
    return Actor(found.pw_name, verified=Path(found.pw_shell).name not in NO_SHELLS)
