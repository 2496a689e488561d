"""How the bundle is made: the same bytes each time, from the lock, for glibc of Lambda, below its limit, with our rooms only."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import get_args

import pytest

from functions.topology import Layer
from scripts.bundling import __main__ as command
from scripts.bundling import archive, bytecode, elf, sizes
from scripts.bundling.locks import locked
from scripts.bundling.parts import Part
from scripts.bundling.target import MACHINES, on_lambda, on_this_machine
from tests.bundle.bundle_world import BUNDLE, ROOT

PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)


def part(megabytes: int, package: str) -> Part:
    return Part(f"layers/{package}.zip", "", megabytes << 20, 1, {package: megabytes << 20})


def test_the_same_files_give_the_same_zip(tmp_path: Path) -> None:
    """Bytecode and archive hold no time, no order of the disk and no place of the build."""
    made = []
    for number, name in enumerate(("first", "second")):
        folder = tmp_path / name
        (folder / "room").mkdir(parents=True)
        for module in ("b", "a")[:: 1 if number else -1]:
            path = folder / "room" / f"{module}.py"
            path.write_text(f"def {module}(x: int) -> set[str]:\n    return {{'one', 'two', str(x)}}\n")
            os.utime(path, (number * 1_000_000, number * 1_000_000))
        bytecode.compile_all(sys.executable, folder, shown="/var/task")
        archive.write(folder, tmp_path / f"{name}.zip")
        made.append((tmp_path / f"{name}.zip").read_bytes())
    assert made[0] == made[1]
    with zipfile.ZipFile(tmp_path / "first.zip") as file:
        assert len([name for name in file.namelist() if name.endswith(".pyc")]) == 2


@pytest.mark.parametrize("layer", get_args(Layer))
def test_a_layer_holds_the_versions_that_run_everywhere(layer: Layer) -> None:
    """Every package of a layer has the version of requirements/run.txt, hashes and no address."""
    text = (ROOT / "requirements" / f"lambda-{layer}.txt").read_text()
    run = set(PIN.findall((ROOT / "requirements" / "run.txt").read_text()))
    assert set(PIN.findall(text)) <= run
    assert "://" not in text
    for requirement in locked(layer, on_lambda("3.13", "arm64")).values():
        assert "--hash=sha256:" in requirement
        assert ";" not in requirement


def test_markers_are_read_for_the_target() -> None:
    """numpy's version depends on the Python that runs it, not on the Python that builds."""
    versions = {python: locked("arrow", on_lambda(python, "x86_64"))["numpy"].split()[0] for python in ("3.11", "3.13")}
    assert len(set(versions.values())) == 2


def test_wheels_fit_the_c_library_of_lambda() -> None:
    """Up to Python 3.11 Lambda has glibc 2.26, from 3.12 on 2.34; no wheel that asks for more is taken."""
    assert on_lambda("3.11", "x86_64").platforms[-1] == "manylinux_2_26_x86_64"
    assert on_lambda("3.13", "arm64").platforms[-1] == "manylinux_2_34_aarch64"
    with pytest.raises(ValueError, match=r"Python 3\.10 on x86_64"):
        on_lambda("3.10", "x86_64")


def test_every_function_has_base_and_five_layers_at_most() -> None:
    """What base holds is left out of the other layers, so no function may lack it."""
    for name, layers in sizes.layers_by_function().items():
        assert "base" in layers, name
        assert len(layers) <= sizes.LAYERS_MAX, name


def test_too_large_a_function_is_named_with_its_largest_packages() -> None:
    """Lambda would refuse it at the deployment; here it is said before, and what to look at."""
    layers = {name: part(1, name) for name in get_args(Layer)} | {"match": part(260, "duckdb")}
    (complaint,) = sizes.complaints(layers, part(1, "transfer"))
    assert complaint.startswith("reconcile: 263.0 MiB unzipped, 250.0 are allowed; largest in MiB: duckdb 260.0")


def test_too_large_a_bundle_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make bundle` ends with status 1, after the table that shows where the bytes are."""
    if not BUNDLE.is_dir():
        pytest.skip("there is no bundle in build/bundle-here: `make bundle-here` builds it")
    shutil.copytree(BUNDLE, tmp_path / "bundle")
    monkeypatch.setattr(sizes, "UNZIPPED_BYTES_MAX", 100 << 20)
    monkeypatch.setattr(command, "build", lambda _target, out: _parts(out))
    monkeypatch.setattr(sys, "argv", ["bundle", "--here", "--out", str(tmp_path / "bundle")])
    assert command.main() == 1
    said = capsys.readouterr()
    assert "bundle: curate: " in said.err
    assert "reconcile" in said.out


def _parts(out: Path) -> tuple[dict[str, Part], Part]:
    made = json.loads((out / "sizes.json").read_text())
    return {name: Part(**each) for name, each in made["layers"].items()}, Part(**made["code"])


def test_the_bundle_fits_lambda() -> None:
    """Every function's code and layers stay below 250 MiB unzipped, as sizes.json says and the zips hold."""
    if not BUNDLE.is_dir():
        pytest.skip("there is no bundle in build/bundle-here: `make bundle-here` builds it")
    made = json.loads((BUNDLE / "sizes.json").read_text())
    assert set(made["functions"]) == set(sizes.layers_by_function())
    assert max(made["functions"].values()) <= 250 << 20
    for each in (*made["layers"].values(), made["code"]):
        with zipfile.ZipFile(BUNDLE / each["file"]) as file:
            assert sum(info.file_size for info in file.infolist()) == each["unzipped_bytes"]


def test_the_code_is_our_rooms_and_what_they_read() -> None:
    """No part of the one-machine product, of the command line or of cdk; templates, schemas and migrations are there."""
    if not BUNDLE.is_dir():
        pytest.skip("there is no bundle in build/bundle-here: `make bundle-here` builds it")
    with zipfile.ZipFile(BUNDLE / "code.zip") as file:
        names = set(file.namelist())
    rooms = {name.partition("/")[0] for name in names}
    assert rooms == {"payments", "formats", "extractors", "curation", "transfer", "reconciliation", "runtime", "dashboard", "functions"}  # fmt: skip
    for wanted in ("dashboard/templates/books.html", "dashboard/static/page.css", "runtime/ledger/migrations/env.py"):
        assert wanted in names
    assert any(name.startswith("formats/data/") for name in names)


def test_a_cut_library_still_loads(tmp_path: Path) -> None:
    """What is cut from a shared library is nothing that the loader reads; a file of another kind stays as it is."""
    spec = importlib.util.find_spec("sqlalchemy.util._collections_cy")
    assert spec is not None
    assert spec.origin is not None
    copy = tmp_path / Path(spec.origin).name
    shutil.copyfile(spec.origin, copy)
    before = copy.stat().st_size
    elf.cut(copy)
    assert copy.stat().st_size < before / 2
    load = (
        "import importlib.util as u, sys, sqlalchemy.util; s = u.spec_from_file_location('sqlalchemy.util._collections_cy', sys.argv[1]);"
        "m = u.module_from_spec(s); s.loader.exec_module(m); assert list(m.OrderedSet([2, 1])) == [2, 1]"
    )
    subprocess.run([sys.executable, "-c", load, str(copy)], check=True, timeout=60)
    text = tmp_path / "notes.so"
    text.write_bytes(b"not a library")
    elf.cut(text)
    assert text.read_bytes() == b"not a library"


def test_this_machine_is_a_target() -> None:
    """The emulator's bundle is for the interpreter at hand, whose bytecode it can hold."""
    here = on_this_machine()
    assert here.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert here.arch in MACHINES
    assert bytecode.interpreter(here) == sys.executable


def test_the_image_is_made_of_what_is_there() -> None:
    """Every COPY of the Dockerfile has its source, lets it pass .dockerignore, and the lock is that of what runs."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    assert "requirements/run.txt" in copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source
    packages = (ROOT / "pyproject.toml").read_text().split("packages = [", 1)[1].split("]", 1)[0]
    assert {name.partition(".")[0] for name in re.findall(r'"([^"]+)"', packages)} <= set(copied)
    assert any("--require-hashes -r /build/requirements/run.txt" in line for line in lines)
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001"]
