"""Writes into docs/cost.md what `tieout cost` prints now: `.venv/bin/python -m scripts.cost_page`.

Each example there is a command and, below it, its output. Where the output on the page ends with a line of three dots, so much of it is
shown as comes before the assumptions, which are the same in all.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cost.md"
EXAMPLE = re.compile(r"```console\n(tieout cost [^\n]+)\n```\n\n```text\n(.*?)```\n", re.DOTALL)
CUT = "...\n"


def printed(command: str, *, cut: bool) -> str:
    """What the command prints, with all of it or up to the assumptions."""
    from tieout.__main__ import main as tieout

    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = tieout(shlex.split(command)[1:])
    assert status == 0, command
    text = output.getvalue()
    return text.partition("ASSUMED ")[0] + CUT if cut else text


def main() -> int:
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(EXAMPLE.sub(_anew, text), encoding="utf-8")
    return 0


def _anew(found: re.Match[str]) -> str:
    command, output = found.groups()
    return f"```console\n{command}\n```\n\n```text\n{printed(command, cut=output.endswith(CUT))}```\n"


if __name__ == "__main__":
    sys.exit(main())
