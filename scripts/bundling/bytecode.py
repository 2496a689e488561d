"""Compiles modules to bytecode, because Lambda's layers cannot be written: without it every cold start compiles again.

The bytecode is not checked against its source (PEP 552, "unchecked hash"): it holds no time, so that it is the same each time.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from scripts.bundling.target import Target

COMPILE_S_MAX = 600
# In a process of its own, on one file after another in a fixed order: what Python shares between objects depends on what it compiled before.
PROGRAM = """
import pathlib, py_compile, sys
folder, shown = pathlib.Path(sys.argv[1]), pathlib.PurePosixPath(sys.argv[2])
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for path in sorted(folder.rglob("*.py")):
    name = str(shown / path.relative_to(folder).as_posix())
    try:
        py_compile.compile(str(path), dfile=name, doraise=True, invalidation_mode=mode)
    except py_compile.PyCompileError:
        pass
"""


def interpreter(target: Target) -> str | None:
    """A Python on this machine whose bytecode the target reads: any of the same minor version."""
    if target.python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    name = shutil.which(f"python{target.python}")
    if name is None:
        return None
    # A version manager's stand-in is found also for versions that are not switched on.
    asked = subprocess.run([name, "-c", ""], capture_output=True, check=False, timeout=COMPILE_S_MAX)
    return name if asked.returncode == 0 else None


def compile_all(python: str, folder: Path, *, shown: str) -> None:
    """Beside each module its `__pycache__`; tracebacks name files below `shown`, where the bundle is unpacked."""
    command = [python, "-I", "-S", "-B", "-W", "ignore", "-c", PROGRAM, str(folder), shown]
    subprocess.run(command, check=True, timeout=COMPILE_S_MAX, env={"PYTHONHASHSEED": "0"})
