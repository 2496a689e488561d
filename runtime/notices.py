"""Writes and reads notices: the message by which S3 tells, through EventBridge and SQS, that an object was created.

On one machine the file store sends the same message itself, so that handlers meet one form only. The form is that of
EventBridge's "Object Created" (Amazon S3 User Guide, "EventBridge event message structure"); its keys are not URL-encoded.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from payments.errors import SetAside
from payments.ports import ObjectStore, StoredObject
from runtime.objects import check_key

BODY_BYTES_MAX = 256 << 10
SOURCE = "aws.s3"
DETAIL_TYPE = "Object Created"
NAMESPACE = uuid.UUID("6c1e2a55-3d0f-5b7a-9f64-0f2a7d1c8e43")
NO_TIME = "1970-01-01T00:00:00Z"
"""A notice of ours says nothing about time: repeated after a restart it must be the same message."""


class _Named(msgspec.Struct, frozen=True):
    name: str


class _Object(msgspec.Struct, frozen=True):
    key: str


class _Detail(msgspec.Struct, frozen=True):
    bucket: _Named
    object: _Object


class _Envelope(msgspec.Struct, frozen=True):
    source: str
    detail_type: str = msgspec.field(name="detail-type")
    detail: _Detail


_decoder = msgspec.json.Decoder(_Envelope)


def notice(bucket: str, key: str, size: int, *, region: str = "local") -> str:
    """The message body for one created object: equal arguments give equal bytes, and so an equal id."""
    body: dict[str, Any] = {
        "version": "0",
        "id": str(uuid.uuid5(NAMESPACE, json.dumps([bucket, key, size]))),
        "detail-type": DETAIL_TYPE,
        "source": SOURCE,
        "time": NO_TIME,
        "region": region,
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {"key": key, "size": size},
            "reason": "PutObject",
        },
    }
    return json.dumps(body, separators=(",", ":"))


def key_of(body: str) -> str:
    """The key that a notice names. Raises SetAside for anything else, and for a key we never make."""
    return check_key(named_in(body)[1])


def named_in(body: str) -> tuple[str, str]:
    """The bucket that a notice names, and the whole name of the object in it.

    Raises SetAside for anything else: too long, not JSON, or of another kind.
    """
    try:
        content = body.encode()
    except UnicodeEncodeError as error:
        raise SetAside("a notice holds characters that are not Unicode", next_step=_NEXT) from error
    if len(content) > BODY_BYTES_MAX:
        raise SetAside(f"a notice of {len(content)} bytes is too long", next_step=_NEXT)
    try:
        envelope = _decoder.decode(content)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise SetAside("a message is not a notice about an object", next_step=_NEXT) from error
    if (envelope.source, envelope.detail_type) != (SOURCE, DETAIL_TYPE):
        raise SetAside("a message is an event, but not that an object was created", next_step=_NEXT)
    return envelope.detail.bucket.name, envelope.detail.object.key


_NEXT = "Nothing is lost: the sweep starts what a notice should have started. Look at who else writes to this queue."


class NotifyingStore:
    """An ObjectStore that calls `emit(key, size)` after every put, also when the object was there already.

    Also then, because whoever stored it may have been killed before it told anybody.
    """

    def __init__(self, store: ObjectStore, emit: Callable[[str, int], None]) -> None:
        self._store = store
        self._emit = emit

    def put(self, key: str, data: bytes) -> StoredObject:
        return self._told(self._store.put(key, data))

    def put_file(self, key: str, path: Path) -> StoredObject:
        return self._told(self._store.put_file(key, path))

    def get(self, key: str) -> bytes:
        return self._store.get(key)

    def local(self, key: str) -> AbstractContextManager[Path]:
        return self._store.local(key)

    def keys(self, prefix: str) -> Iterator[str]:
        return self._store.keys(prefix)

    def exists(self, key: str) -> bool:
        return self._store.exists(key)

    def _told(self, stored: StoredObject) -> StoredObject:
        self._emit(stored.key, stored.size)
        return stored
