"""Notices of deleted objects: their form, what counts as expired, and that nothing else passes for one."""

from __future__ import annotations

import json

import pytest

from payments.errors import SetAside
from payments.keys import ChunkKey
from runtime.deletion_notices import deletion_told
from runtime.wakes import about
from tests.contract.ledger_world import NOON
from tests.servers.deletion_notices import BY_HAND, EXPIRED_AT, VERSION, deletion_event, deletion_notice

RAW = ChunkKey("legacy", NOON.date(), 1, 0).raw


def test_a_notice_of_the_documented_form_is_read() -> None:
    """Key, version, kind, cause and time, in UTC; the log lines about it name its key."""
    told = deletion_told(deletion_notice(RAW, kind=VERSION, version="v1"))
    assert (told.bucket, told.name, told.version, told.kind, told.cause, told.at) == (
        "stores",
        RAW,
        "v1",
        "version",
        "lifecycle",
        EXPIRED_AT,
    )
    assert deletion_told(deletion_notice(RAW, reason=BY_HAND)).cause == "request"
    assert about(deletion_notice(RAW)) == RAW


def test_only_s3_itself_lets_anything_expire() -> None:
    """A reason that is not known, or the right one from somebody else, is a deletion like any other."""
    event = deletion_event(RAW)
    event["detail"]["requester"] = "111122223333"
    assert deletion_told(json.dumps(event)).cause == "request"
    assert deletion_told(deletion_notice(RAW, reason="Something New")).cause == "request"


def _without(*path: str) -> str:
    event = deletion_event(RAW)
    place = event
    for each in path[:-1]:
        place = place[each]
    del place[path[-1]]
    return json.dumps(event)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "x" * 300_000,
        "[" * 100_000,
        json.dumps({**deletion_event(RAW), "detail-type": "Object Created"}),
        json.dumps({**deletion_event(RAW), "source": "tieout"}),
        json.dumps({**deletion_event(RAW), "time": "2027-06-01T00:20:11"}),
        deletion_notice(RAW, kind="Moved"),
        _without("time"),
        _without("detail", "object", "key"),
        _without("detail", "deletion-type"),
    ],
)
def test_anything_else_is_set_aside(body: str) -> None:
    """A message that is no such notice is refused before the ledger is touched."""
    with pytest.raises(SetAside):
        deletion_told(body)
