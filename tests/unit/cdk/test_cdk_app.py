"""The app as a program: what it says when it cannot make templates."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.synth import MISSING, PYTHON, ROOT


def refused(tmp_path: Path, **context: str) -> str:
    """What the app says; it must end with exit status 2 and without a trace."""
    if not PYTHON.exists():
        pytest.skip(MISSING)
    environment = {**os.environ, "CDK_CONTEXT_JSON": json.dumps(context), "CDK_OUTDIR": str(tmp_path / "out")}
    done = subprocess.run(
        [str(PYTHON), "-B", "-m", "cdk.app"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_missing_bundle_is_said_with_the_command_that_makes_it(tmp_path: Path) -> None:
    """The message names the file and `make bundle`."""
    said = refused(tmp_path, bundle=str(tmp_path / "nowhere"))
    assert "nowhere/code.zip is not there" in said
    assert "make bundle" in said


def test_a_bundle_for_another_python_is_refused(tmp_path: Path) -> None:
    """Its functions could not be loaded: both versions are named."""
    (tmp_path / "sizes.json").write_text(json.dumps({"architecture": "x86_64", "python": "3.9"}))
    said = refused(tmp_path, bundle=str(tmp_path))
    assert "made for Python 3.9 on x86_64" in said


def test_templates_of_another_environment_do_not_stay() -> None:
    """Whoever deploys what lies in the folder deploys the environment that was named last, and nothing else."""
    # Where make runs the tests, it would also say which folder it works in.
    words = ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", "-n", "-o", ".venv-cdk/stamp", "synth", "ENV=prod"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    removed, made = done.stdout.splitlines()
    assert removed == "rm -rf build/cdk.out"
    assert 'CDK_OUTDIR=build/cdk.out CDK_CONTEXT_JSON=\'{"environment": "prod"}\'' in made


def test_an_unknown_environment_is_refused(tmp_path: Path) -> None:
    """The known ones are named."""
    assert "dev, staging, prod" in refused(tmp_path, environment="nowhere")
