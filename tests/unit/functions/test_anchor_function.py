"""What the functions that nobody sends a message say of themselves: a line that is theirs, and nothing that must not be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.anchors import PREFIX
from tests.unit.functions.test_observe import IBAN, printed
from tests.unit.local.small_world import world as small_world

ANSWER = """
import importlib, json, sys
print(json.dumps(importlib.import_module(f"functions.{sys.argv[1]}").handler({}, None)))
"""
FAIL = """
import importlib, json, sys
import runtime.anchors, runtime.beat
from payments.errors import Unreachable

def fails(*_):
    raise ERROR

runtime.anchors.anchor = runtime.beat.beat = fails
try:
    importlib.import_module(f"functions.{sys.argv[1]}").handler({}, None)
except Exception as error:
    raised = error
print(json.dumps({"raised": type(raised).__name__, "text": str(raised), "from": str(raised.__cause__)}))
"""


def configured(folder: Path, *, runs: int = 0) -> str:
    """A ledger with so many chains in its audit log; the configuration that names it."""
    world = small_world(folder)
    with world.ledger.begin() as tx:
        for number in range(runs):
            tx.audit.append(f"run:legacy/{number}", "opened", {})
    world.ledger.engine.dispose()
    return world.settings.path


@pytest.mark.parametrize("name", ["anchor", "tick"])
def test_each_call_is_a_line_of_its_own(tmp_path: Path, name: str) -> None:
    """It names the function as what it is about, also where there was nothing to do."""
    said = printed(ANSWER, name, TIEOUT_CONFIG=configured(tmp_path))
    [done] = [each for each in said if str(each.get("message", "")).startswith("done in ")]
    assert done["correlation_id"] == name


def test_an_anchor_is_answered_with_its_key(tmp_path: Path) -> None:
    """Nothing where nothing was recorded yet; then the key of the object that it put."""
    config = configured(tmp_path)
    assert printed(ANSWER, "anchor", TIEOUT_CONFIG=config)[-1] == {"anchor": ""}
    configured(tmp_path, runs=2)
    key = printed(ANSWER, "anchor", TIEOUT_CONFIG=config)[-1]["anchor"]
    assert key.startswith(PREFIX)
    assert len(list(tmp_path.rglob(Path(key).name))) == 1


@pytest.mark.parametrize("name", ["anchor", "tick"])
@pytest.mark.parametrize(
    ("error", "raised", "level"),
    [(f"ValueError({IBAN!r})", "RuntimeError", "ERROR"), ("Unreachable('the ledger')", "Unreachable", "WARNING")],
)
def test_what_goes_wrong_is_said_and_raised_without_values(
    tmp_path: Path, name: str, error: str, raised: str, level: str
) -> None:
    """One line of ours, and an error of which the alarm hears; Lambda prints it as it is, so an unknown one has no text."""
    line, end = printed(FAIL.replace("ERROR", error), name, TIEOUT_CONFIG=configured(tmp_path))
    assert (line["level"], line["correlation_id"]) == (level, name)
    assert (end["raised"], end["from"]) == (raised, "None")
