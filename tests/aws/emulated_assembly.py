"""Synthesises the stacks for the emulator, once: cached by what they are made of."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.synth import CACHE, LAYERS, PYTHON, ROOT

PROGRAM = "tests.aws.emulated_app"
STAND_IN = "stand-in.txt"
ARCHITECTURES = {"aarch64": "arm64"}
CODE = "code.zip"


def emulated_assembly(config: Path) -> Path:
    """The assembly's folder. In place of the bundle's zips stand small ones that name them; raises AssertionError."""
    found = CACHE / f"emulated-{_hash(config)}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock, tempfile.TemporaryDirectory(prefix="tieout-synth-") as scratch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.is_dir():
            made = Path(scratch) / "out"
            _synthesise(made, config, _stand_ins(Path(scratch) / "bundle"))
            shutil.move(made, found)
    return found


def stood_for(asset: Path) -> str:
    """Which zip of the bundle this asset stands for: `code.zip` or `layers/NAME.zip`."""
    with zipfile.ZipFile(asset) as archive:
        return archive.read(STAND_IN).decode()


def _stand_ins(folder: Path) -> Path:
    (folder / "layers").mkdir(parents=True)
    for name in (CODE, *(f"layers/{layer}.zip" for layer in LAYERS)):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(zipfile.ZipInfo(STAND_IN), name)
    machine = platform.machine()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    sizes = {"python": python, "architecture": ARCHITECTURES.get(machine, machine)}
    (folder / "sizes.json").write_text(json.dumps(sizes))
    return folder


def _synthesise(made: Path, config: Path, bundle: Path) -> None:
    environment = {**os.environ, "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(PYTHON), "-m", PROGRAM, str(made), str(config), str(bundle)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"the app cannot be synthesised:\n{done.stdout}\n{done.stderr}"[-8000:]


def _hash(config: Path) -> str:
    digest = hashlib.sha256(config.read_bytes() + sys.version.encode())
    files = [*sorted((ROOT / "cdk").rglob("*.py")), *sorted(Path(__file__).parent.glob("emulated_*.py"))]
    files += sorted((config.parent / "reference").iterdir())
    for path in (*files, ROOT / "cdk.json", ROOT / "functions" / "topology.py", ROOT / "requirements" / "cdk.txt"):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]
