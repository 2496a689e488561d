"""What a bundle is built for: a Python, a processor, and the oldest C library that its wheels must load on."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

DEFAULT_PYTHON = "3.13"
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
"""Lambda's name of a processor -> the wheels' name."""
GLIBC_MINORS = {"3.11": 26, "3.12": 34, "3.13": 34, "3.14": 34}
"""Lambda's Python -> the minor version of its glibc 2: Amazon Linux 2 up to Python 3.11, Amazon Linux 2023 from 3.12 on."""
GLIBC_MINOR_FIRST = 17


@dataclass(frozen=True)
class Target:
    """`python` as in 3.13; `arch` is a key of MACHINES; a wheel may ask for glibc 2.`glibc_minor` and older."""

    python: str
    arch: str
    glibc_minor: int

    @property
    def name(self) -> str:
        return f"python{self.python}-{self.arch}-glibc2.{self.glibc_minor}"

    @property
    def platforms(self) -> list[str]:
        """The wheels' platform tags, the most widely usable first."""
        machine = MACHINES[self.arch]
        minors = range(GLIBC_MINOR_FIRST, self.glibc_minor + 1)
        return [f"manylinux2014_{machine}", *(f"manylinux_2_{minor}_{machine}" for minor in minors)]

    @property
    def markers(self) -> dict[str, str]:
        """What a lock file's markers may ask; pip would answer for the machine that builds."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": MACHINES[self.arch],
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }


def on_lambda(python: str, arch: str) -> Target:
    """Raises ValueError for what Lambda does not have, or we do not know."""
    if python not in GLIBC_MINORS or arch not in MACHINES:
        known = f"PYTHON={', '.join(GLIBC_MINORS)} and ARCH={', '.join(MACHINES)}"
        raise ValueError(f"there is no bundle for Python {python} on {arch}; known are {known}")
    return Target(python, arch, GLIBC_MINORS[python])


def on_this_machine() -> Target:
    """For an emulator, and for tests that import the bundle with the interpreter at hand."""
    machine = platform.machine()
    arch = next((ours for ours, theirs in MACHINES.items() if theirs == machine), machine)
    _library, version = platform.libc_ver()
    return Target(f"{sys.version_info.major}.{sys.version_info.minor}", arch, int(version.split(".")[1]))
