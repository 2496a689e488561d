"""Reads the message by which S3 tells, through EventBridge and SQS, that an object was deleted or expired.

The form is that of EventBridge's "Object Deleted" (Amazon S3 User Guide, "EventBridge event message structure").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from payments.deletions import LIFECYCLE, MARKER, REQUEST, VERSION
from payments.errors import SetAside
from runtime.notices import BODY_BYTES_MAX, SOURCE
from runtime.objects import check_key

DETAIL_TYPE = "Object Deleted"
BY_LIFECYCLE = "Lifecycle Expiration"
BY_S3 = "s3.amazonaws.com"
KINDS = {"Delete Marker Created": MARKER, "Permanently Deleted": VERSION}
_NEXT = "Look at who else writes to this queue."


@dataclass(frozen=True, slots=True)
class Told:
    """One step of an object's end, as the store told it. `name` is the object's whole name in its bucket."""

    bucket: str
    name: str
    version: str
    kind: str
    cause: str
    at: datetime


class _Bucket(msgspec.Struct, frozen=True):
    name: str


class _Object(msgspec.Struct, frozen=True):
    key: str
    version_id: str = msgspec.field(name="version-id", default="")


class _Detail(msgspec.Struct, frozen=True):
    bucket: _Bucket
    object: _Object
    deletion_type: str = msgspec.field(name="deletion-type")
    reason: str = ""
    requester: str = ""


class _Envelope(msgspec.Struct, frozen=True):
    source: str
    detail_type: str = msgspec.field(name="detail-type")
    time: datetime
    detail: _Detail


_decoder = msgspec.json.Decoder(_Envelope)


def deletion_told(body: str) -> Told:
    """Raises SetAside for anything else: too long, not JSON, of another kind, a time without zone.

    Only what S3 itself did by a rule counts as expired; whatever else is said, somebody asked for it (I6).
    """
    content = body.encode(errors="replace")
    if len(content) > BODY_BYTES_MAX:
        raise SetAside(f"a notice of {len(content)} bytes is too long", next_step=_NEXT)
    try:
        envelope = _decoder.decode(content)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise SetAside("a message is not a notice about a deleted object", next_step=_NEXT) from error
    detail, kind = envelope.detail, KINDS.get(envelope.detail.deletion_type)
    if (envelope.source, envelope.detail_type) != (SOURCE, DETAIL_TYPE) or kind is None:
        raise SetAside("a message is an event, but not that an object was deleted", next_step=_NEXT)
    if envelope.time.tzinfo is None:
        raise SetAside("a notice says a time without zone", next_step=_NEXT)
    expired = detail.reason == BY_LIFECYCLE and detail.requester in {"", BY_S3}
    return Told(
        bucket=detail.bucket.name,
        name=detail.object.key,
        version=detail.object.version_id,
        kind=kind,
        cause=LIFECYCLE if expired else REQUEST,
        at=envelope.time.astimezone(UTC),
    )


def key_of_deletion(body: str) -> str:
    """Raises SetAside as above, and for a key we never make."""
    return check_key(deletion_told(body).name)
