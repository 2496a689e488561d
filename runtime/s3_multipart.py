"""Uploads one large file to S3 in parts, so that it appears whole, or not at all, and never over another object.

The condition `If-None-Match: *` is checked when the parts are put together. Whatever goes wrong, the parts are given up,
because S3 keeps (and charges for) parts of an upload that was neither completed nor aborted.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any

from runtime import aws

PART_BYTES = 8 << 20
PARTS_MAX = 10_000
"""S3 takes at most 10,000 parts of 5 MiB to 5 GiB."""
TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload"})
"""Answers after which the key must be read back. NoSuchUpload: an earlier try may have completed and its reply been lost."""


def upload(client: Any, bucket: str, key: str, path: Path) -> tuple[int, str] | None:
    """(size, hex SHA-256) of what was stored; None when the key is, or may be, taken. Raises what boto3 raises."""
    from botocore.exceptions import ClientError

    target = {"Bucket": bucket, "Key": key}
    target["UploadId"] = client.create_multipart_upload(**target, ChecksumAlgorithm="CRC32")["UploadId"]
    completed = False
    try:
        parts, size, sha256 = _send_parts(client, target, path)
        client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
        completed = True
    except ClientError as error:
        if aws.code_of(error) in TAKEN:
            return None
        raise
    finally:
        if not completed:
            _abort(client, target)
    return size, sha256


def _send_parts(client: Any, target: dict[str, str], path: Path) -> tuple[list[dict[str, Any]], int, str]:
    """One part in memory at a time: 8 MiB, more only for files above 78 GiB."""
    part_bytes = max(PART_BYTES, -(-path.stat().st_size // PARTS_MAX))
    parts: list[dict[str, Any]] = []
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while piece := stream.read(part_bytes):
            number = len(parts) + 1
            sent = client.upload_part(**target, PartNumber=number, Body=piece, ChecksumAlgorithm="CRC32")
            part = {"PartNumber": number, "ETag": sent["ETag"]}
            if "ChecksumCRC32" in sent:
                part["ChecksumCRC32"] = sent["ChecksumCRC32"]
            parts.append(part)
            digest.update(piece)
            size += len(piece)
    return parts, size, digest.hexdigest()


def _abort(client: Any, target: dict[str, str]) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    # The first error tells more than this one; the bucket's life-cycle rule removes what stays behind.
    with contextlib.suppress(BotoCoreError, ClientError):
        client.abort_multipart_upload(**target)
