"""Compiles and runs Acquirer.java, an acquirer that needs nothing but a JDK, and reads what it took and decided."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.servers.process import STOP_S_MAX, ServerFailed, until

SOURCE = Path(__file__).with_name("Acquirer.java")
SCHEMA = Path(__file__).parents[2] / "formats" / "data" / "pain.001.001.09.xsd"
RELEASE_MIN = 17
MISSING = f"a JDK {RELEASE_MIN} or newer is missing; make test installs it"
COMPILE_S_MAX = 120
TAKEN_S_MAX = 20.0
# A program that lives for seconds: it must start fast, and two of them must fit beside the tests.
OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx128m")


@cache
def has_jdk() -> bool:
    """Whether a compiler and a virtual machine that are new enough can be run."""
    if shutil.which("javac") is None or shutil.which("java") is None:
        return False
    asked = subprocess.run(["javac", "-version"], capture_output=True, text=True, timeout=COMPILE_S_MAX, check=False)
    release = re.search(r"javac (\d+)", asked.stdout + asked.stderr)
    return release is not None and int(release[1]) >= RELEASE_MIN


def compiled(folder: Path) -> Path:
    """The folder with its classes."""
    command = ["javac", "--release", str(RELEASE_MIN), "-Xlint:all", "-d", str(folder), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_S_MAX, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@dataclass(frozen=True)
class JavaAcquirer:
    """One acquirer: where it looks and writes, on this machine and not by SFTP; all in it lives on when it is restarted.

    `work` is where it moves what it takes.
    """

    classes: Path
    inbox: Path
    outbox: Path
    work: Path
    folder: Path
    clock: Path
    seed: int = 7
    pattern: str = "*.xml"

    @property
    def truth(self) -> Path:
        return self.folder / "truth.jsonl"

    @property
    def log(self) -> Path:
        return self.folder / "java.log"

    @contextlib.contextmanager
    def watching(self) -> Iterator[subprocess.Popen[bytes]]:
        """From when it looks into its inbox; at the end its standard input closes, and it must end by itself and well."""
        for each in (self.folder, self.work):
            each.mkdir(exist_ok=True)
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            process = subprocess.Popen(self._command(), stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/")
        assert process.stdin is not None
        try:
            until(lambda: self.truth.exists() or process.poll() is not None, "the Java acquirer to start")
            if process.poll() is not None:
                raise ServerFailed(self.log.read_text(errors="replace"))
            yield process
            process.stdin.close()
            assert process.wait(STOP_S_MAX) == 0, self.log.read_text(errors="replace")
            assert self.log.stat().st_size == before, self.log.read_text(errors="replace")
        finally:
            process.stdin.close()
            process.kill()
            process.wait(STOP_S_MAX)

    def took(self) -> list[dict[str, Any]]:
        """What it has taken, decided and answered so far, in that order. A line that is being written is left out."""
        if not self.truth.exists():
            return []
        return [json.loads(line) for line in self.truth.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def await_taken(self, files: int) -> list[dict[str, Any]]:
        """What it took, once these are so many files."""
        until(lambda: len(self.took()) >= files, f"the Java acquirer to take {files} files", TAKEN_S_MAX)
        return self.took()

    def _command(self) -> list[str]:
        places = ("inbox", "outbox", "work", "truth", "clock", "seed", "pattern")
        named = [text for name in places for text in (f"--{name}", str(getattr(self, name)))]
        return ["java", *OPTIONS, "-cp", str(self.classes), "Acquirer", *named, "--xsd", str(SCHEMA)]
