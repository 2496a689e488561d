"""What S3 tells EventBridge of a deleted object, in the form of the Amazon S3 User Guide, "EventBridge event message structure"."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from payments.config import Stores
from payments.ports import Ledger
from runtime.expiry import record_deletion

LIFECYCLE, BY_HAND = "Lifecycle Expiration", "DeleteObject"
MARKER, VERSION = "Delete Marker Created", "Permanently Deleted"
EXPIRED_AT = datetime(2027, 6, 1, 0, 20, 11, tzinfo=UTC)


def deletion_event(
    key: str,
    *,
    kind: str = MARKER,
    reason: str = LIFECYCLE,
    version: str = "m1",
    at: datetime = EXPIRED_AT,
    bucket: str = "stores",
) -> dict[str, Any]:
    """The message as a dictionary."""
    return {
        "version": "0",
        "id": "ee8c4a7e-0000-4000-8000-000000000001",
        "detail-type": "Object Deleted",
        "source": "aws.s3",
        "account": "111122223333",
        "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "region": "eu-central-1",
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {
                "key": key,
                "etag": "d41d8cd98f00b204e9800998ecf8427e",
                "version-id": version,
                "sequencer": "0000000000000001",
            },
            "request-id": "REQUEST1",
            "requester": "s3.amazonaws.com" if reason == LIFECYCLE else "111122223333",
            "reason": reason,
            "deletion-type": kind,
        },
    }


def deletion_notice(key: str, **given: Any) -> str:
    """The same as the body of a message."""
    return json.dumps(deletion_event(key, **given))


def tell_deletion(ledger: Ledger, key: str, **given: Any) -> None:
    """Let the ledger be told of it, as the function does."""
    record_deletion(ledger, Stores(), deletion_notice(key, **given))
