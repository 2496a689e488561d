"""Builds the parts of a bundle: one layer from its locked wheels, and the code of our rooms."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.bundling import archive, bytecode, wheels
from scripts.bundling.locks import ROOT, locked
from scripts.bundling.target import Target
from scripts.bundling.trim import trim

ROOMS = (
    "payments",
    "formats",
    "extractors",
    "curation",
    "transfer",
    "reconciliation",
    "runtime",
    "dashboard",
    "functions",
)
"""What runs on Lambda. Not the one-machine product, nor the command line: the Fargate image installs those."""
LAYERS_AT, CODE_AT = "/opt/python", "/var/task"
"""Where Lambda unpacks a layer's `python/`, and a function's code."""


@dataclass(frozen=True)
class Part:
    """One zip; `packages` gives unpacked bytes by package, `key` is a hash of everything that it was made from."""

    file: str
    key: str
    unzipped_bytes: int
    zipped_bytes: int
    packages: dict[str, int]


def layer(name: str, target: Target, out: Path, known: dict[str, Part]) -> Part:
    """Build layers/<name>.zip below `out`, unless what lies there was made from the same."""
    requirements = locked(name, target)
    key = _hash(target.name, str(bytecode.interpreter(target)), *sorted(requirements.values()), *_recipe())

    def fill(folder: Path) -> dict[str, str]:
        top = folder / "python"
        wheels.install(requirements.values(), target, top)
        belongs = wheels.owners(top)
        trim(top)
        return {f"python/{path}": package for path, package in belongs.items()}

    return _built(f"layers/{name}.zip", key, target, out, known, fill, LAYERS_AT)


def code(target: Target, out: Path, known: dict[str, Part]) -> Part:
    """Build code.zip below `out`, unless what lies there was made from the same."""
    paths = [path for room in ROOMS for path in _sources(ROOT / room)]
    names = [path.relative_to(ROOT).as_posix() for path in paths]
    contents = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    key = _hash(target.name, str(bytecode.interpreter(target)), *names, *contents, *_recipe())

    def fill(folder: Path) -> dict[str, str]:
        for path, name in zip(paths, names, strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
        return {}

    return _built("code.zip", key, target, out, known, fill, CODE_AT)


def _built(
    file: str,
    key: str,
    target: Target,
    out: Path,
    known: dict[str, Part],
    fill: Callable[[Path], dict[str, str]],
    shown: str,
) -> Part:
    if file in known and known[file].key == key and (out / file).is_file():
        return known[file]
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=out) as scratch:
        folder = Path(scratch) / "part"
        folder.mkdir()
        belongs = fill(folder)
        python = bytecode.interpreter(target)
        if python:
            top = folder / "python" if shown == LAYERS_AT else folder
            bytecode.compile_all(python, top, shown=shown)
        (out / file).parent.mkdir(exist_ok=True)
        archive.write(folder, out / file)
        packages = _by_package(folder, belongs)
    return Part(file, key, sum(packages.values()), (out / file).stat().st_size, packages)


def _by_package(folder: Path, belongs: dict[str, str]) -> dict[str, int]:
    """A module's bytecode counts with its module; what nobody recorded counts by its folder."""
    sizes: Counter[str] = Counter()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.parent.name == "__pycache__":
            name = (path.parent.parent / f"{path.name.partition('.')[0]}.py").relative_to(folder).as_posix()
        sizes[belongs.get(name) or name.removeprefix("python/").partition("/")[0]] += path.stat().st_size
    return dict(sizes.most_common())


def _sources(room: Path) -> list[Path]:
    return sorted(path for path in room.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _recipe() -> list[str]:
    """Changed rules make another bundle from the same wheels."""
    return [path.read_text() for path in sorted(Path(__file__).parent.glob("*.py"))]


def _hash(*texts: str) -> str:
    return hashlib.sha256(os.fsencode("\0".join(texts))).hexdigest()
