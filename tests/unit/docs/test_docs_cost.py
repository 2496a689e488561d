"""docs/cost.md against the command it describes."""

from __future__ import annotations

import pytest

from scripts.cost_page import EXAMPLE, printed
from tests.unit.docs.doc_pages import text_of

EXAMPLES = EXAMPLE.findall(text_of("docs/cost.md"))
ANEW = "write it anew: .venv/bin/python -m scripts.cost_page"


@pytest.mark.parametrize(("command", "output"), EXAMPLES, ids=[command.partition("--")[2] for command, _ in EXAMPLES])
def test_the_page_shows_what_the_command_prints(command: str, output: str) -> None:
    """To the letter: whoever changes prices, measurements or the topology writes the page anew."""
    assert printed(command, cut=output.endswith("...\n")) == output, ANEW


def test_the_page_shows_three_sizes_and_one_of_them_whole() -> None:
    """100 thousand, 10 million and 1,000 million payments a day; assumptions once."""
    asked = [int(command.split()[3]) for command, _ in EXAMPLES]
    assert asked == [100_000, 10_000_000, 1_000_000_000]
    assert [("ASSUMED" in output) for _, output in EXAMPLES].count(True) == 1
    assert all("within the target" in output for _, output in EXAMPLES)
