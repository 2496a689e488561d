"""The one deployment of this folder, for its one module of tests, and what is done to it: each fixture needs the one before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from functions.topology import TOPOLOGY
from local.demo import acquirer
from tests.aws.chain import HIDDEN_S, Chain
from tests.aws.emulated_chain import emulated_chain, missing
from tests.aws.given_folder import SMALL
from tests.aws.planted import lines, summed
from tests.aws.scenarios import Hundred, Measured, Redeployed, hundred_chunks, redeploy, to_outbound, to_the_end
from tests.pipeline import test_demo_truth as truth
from tests.servers import postgres


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    if missing():
        pytest.skip(missing())
    with postgres.postgres() as url, emulated_chain(tmp_path_factory.mktemp("deployed"), url) as found:
        for stage in TOPOLOGY:
            found.hide_for(stage.queue, HIDDEN_S)
        yield found


@pytest.fixture(scope="module")
def hundred(chain: Chain) -> Hundred:
    return hundred_chunks(chain, "hundred")


@pytest.fixture(scope="module")
def measured(chain: Chain, hundred: Hundred) -> Measured:
    return to_outbound(chain, "legacy")


@pytest.fixture(scope="module")
def redeployed(chain: Chain, measured: Measured) -> Redeployed:
    return redeploy(chain, "later")


@pytest.fixture(scope="module")
def killed(chain: Chain, hundred: Hundred, redeployed: Redeployed) -> frozenset[str]:
    """Every run has come to its end; until now nobody listened where the acquirer should be. Who was killed meanwhile."""
    with acquirer(chain.folder):
        return hundred.killed | to_the_end(chain)


@pytest.fixture(scope="module")
def ended(chain: Chain, killed: frozenset[str]) -> truth.Ran:
    """All runs delivered, answered and reconciled."""
    planted = [lines(chain.folder / "truth" / f"{name}.jsonl") for name in ("source", *SMALL)]
    with chain.world.ledger.look() as tx:
        files, mismatches = tx.files.find(), tx.mismatches.find(state="open")
    return truth.Ran(
        chain.folder,
        chain.statement().to_json(),
        [summed([rows[0] for rows in planted]), *(row for rows in planted for row in rows[1:])],
        lines(chain.folder / "truth" / "acquirer.jsonl"),
        files,
        mismatches,
    )
