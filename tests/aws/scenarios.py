"""What is done to a deployed chain, one after the other: each leaves the chain at rest and says what it saw."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import threading
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.topology import TOPOLOGY, stages_for
from runtime.notices import notice
from runtime.tell import bucket_of
from tests.aws.assembly import PREFIX
from tests.aws.chain import Chain
from tests.aws.emulated_assembly import CODE
from tests.aws.emulated_chain import BUNDLE
from tests.aws.killer import killing
from tests.servers.process import until

KILLS_MAX = 10
AT_THE_END = {"deliver", "collect", "reconcile"}
DIED = f"Lambda {PREFIX}curate failed processing SQS batch"
FAILED = "(1 partial failures)"
MARKER = "redeployed.txt"


@dataclass(frozen=True)
class Hundred:
    """A run of many chunks: how many were stored, how many notices came twice, how many of curate were killed at work.

    `killed` names the stages of which one was killed while it held its lease.
    """

    extracted: dict[str, Any]
    chunks: int
    repeated: int
    curate_killed: int
    killed: frozenset[str]


def hundred_chunks(chain: Chain, source: str) -> Hundred:
    """All chunks in flight at once, every notice once more in the opposite order, and a function killed in the middle."""
    said = chain.extract(source)
    raw = chain.keys(f"raw/{source}/")
    tell_again(chain, reversed(raw))
    with killing(chain, {"assemble"}) as killed:
        curate_killed = _kill_at_work(chain)
        chain.settle()
    chunks = sum(key.endswith(".parquet") for key in raw)
    return Hundred(said["extracted"], chunks, len(raw), curate_killed, frozenset(killed))


def tell_again(chain: Chain, keys: Iterable[str]) -> int:
    """Send the notices of these objects once more, straight to the queues, in this order. How many were sent."""
    sent = 0
    for key in keys:
        for stage in stages_for(key):
            chain.send(stage.queue, notice(bucket_of(chain.world.configuration.stores, key), key, 1))
            sent += 1
    return sent


def _kill_at_work(chain: Chain) -> int:
    """SIGKILL to a process of curate while it works on a message: the emulator says so, as Lambda would. How many it took."""
    emulator = chain.deployment.emulator
    for kills in range(1, KILLS_MAX + 1):
        until(lambda: bool(emulator.workers(f"{PREFIX}curate")) or chain.idle(), "a process of curate", 60)
        pids = sorted(emulator.workers(f"{PREFIX}curate"))
        assert pids, "nothing is left to be killed in the middle of"
        # Standing still it keeps the message that it is given.
        os.kill(pids[0], signal.SIGSTOP)
        time.sleep(
            0.1
        )  # it stands still: no condition tells that a message was handed to it, and a miss is tried again
        os.kill(pids[0], signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            until(lambda: DIED in emulator.log.read_text(errors="replace"), "the emulator to say so", 3)
            return kills
    return 0


@dataclass(frozen=True)
class Measured:
    """From the first raw object of a run to the last outbound file that it led to; how many messages had to come again."""

    extracted: dict[str, Any]
    seconds: float
    files: int
    again: int


def to_outbound(chain: Chain, source: str) -> Measured:
    """One run, warm and undisturbed, until its outbound files are there."""
    before, failed = set(chain.created_at("outbound/")), _failed(chain)
    said = chain.extract(source)
    chain.settle()
    first = min(chain.created_at(f"raw/{source}/").values())
    created = {key: at for key, at in chain.created_at("outbound/").items() if key not in before}
    seconds = (max(created.values()) - first).total_seconds()
    return Measured(said["extracted"], seconds, len(created), _failed(chain) - failed)


def _failed(chain: Chain) -> int:
    """How many messages the functions answered as failed."""
    return chain.deployment.emulator.log.read_text(errors="replace").count(FAILED)


@dataclass(frozen=True)
class Redeployed:
    """What `code` of each stage's function was before and after, and when the deployment and the run took place."""

    extracted: dict[str, Any]
    before: dict[str, str]
    after: dict[str, str]
    overlapped: bool


def redeploy(chain: Chain, source: str) -> Redeployed:
    """Deploy changed code while a run is extracted and curated."""
    before, ended_at = _code(chain), list[datetime]()

    def deploy() -> None:
        key = f"{MARKER}.zip"
        chain.deployment.put_asset(key, _changed((BUNDLE / CODE).read_bytes()))
        template = json.loads(chain.deployment.template(PREFIX + "pipeline"))
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                resource["Properties"]["Code"]["S3Key"] = key
            elif resource["Type"] == "Custom::TieoutLedger":
                resource["Properties"]["Code"] = key
        chain.deployment.deploy_stack(PREFIX + "pipeline", json.dumps(template))
        ended_at.append(datetime.now().astimezone())

    thread = threading.Thread(target=deploy)
    thread.start()
    said = chain.extract(source)
    thread.join()
    chain.settle()
    first = min(chain.created_at(f"raw/{source}/").values())
    return Redeployed(said["extracted"], before, _code(chain), bool(ended_at) and first < ended_at[0])


def _code(chain: Chain) -> dict[str, str]:
    client = chain.deployment.client("lambda")
    names = [PREFIX + stage.name for stage in TOPOLOGY]
    return {name: client.get_function_configuration(FunctionName=name)["CodeSha256"] for name in names}


def _changed(code: bytes) -> bytes:
    """The same code with one file more: another version as far as anybody can see."""
    packed = io.BytesIO(code)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(MARKER, "another version\n")
    return packed.getvalue()


def to_the_end(chain: Chain) -> frozenset[str]:
    """Let the acquirer take what lies ready, answer, and its last deadline pass; tick alone wakes whoever is due.

    The stages of which one was killed at work.
    """
    with killing(chain, AT_THE_END) as killed:
        for by in (timedelta(minutes=2), timedelta(hours=4), timedelta(hours=8), timedelta(hours=4)):
            chain.later(by)
            chain.settle()
    return frozenset(killed)
