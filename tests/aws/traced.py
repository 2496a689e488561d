"""What a deployed chain told X-Ray of its messages."""

from __future__ import annotations

from functions.topology import TOPOLOGY
from tests.aws.chain import Chain


def check_traces(chain: Chain) -> None:
    """Of every store that starts a stage an object was named; else only whom a wake-up is for."""
    heard, objects = list(chain.traces.documents), set(chain.keys(""))
    about = {str(each["annotations"]["about"]) for each in heard}
    assert {stage.prefix.rstrip("/") for stage in TOPOLOGY if stage.prefix} <= {key.partition("/")[0] for key in about}
    assert about - objects <= {"tick", "", *(each.name for each in chain.world.configuration.acquirer)}
    assert all(each["name"] == "message" and each["parent_id"] and each["trace_id"].startswith("1-") for each in heard)
