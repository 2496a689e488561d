"""What a deployed chain told X-Ray of its messages."""

from __future__ import annotations

import re

from functions.topology import BESIDE, TOPOLOGY
from tests.aws.chain import Chain

EXPORT = re.compile("export [0-9a-f]{32}")


def check_traces(chain: Chain) -> None:
    """Of every store that starts a stage an object was named; else only whom a wake-up is for, or which export.

    Other tests of the same deployment may have sent what is no message at all: that is `unknown`.
    """
    heard, objects = list(chain.traces.documents), set(chain.keys(""))
    about = {str(each["annotations"]["about"]) for each in heard}
    assert {stage.prefix.rstrip("/") for stage in TOPOLOGY if stage.prefix} <= {key.partition("/")[0] for key in about}
    configuration = chain.world.configuration
    named = {each.name for each in (*BESIDE, *configuration.source, *configuration.acquirer)}
    strange = [each for each in sorted(about - objects - named - {"", "unknown"}) if not EXPORT.fullmatch(each)]
    assert not strange, strange
    assert all(each["name"] == "message" and each["parent_id"] and each["trace_id"].startswith("1-") for each in heard)
