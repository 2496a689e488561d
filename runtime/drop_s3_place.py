"""Places an object under a key that nobody has: one conditional put, in parts above 64 MiB; or a copy within the bucket."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from collections.abc import Callable
from typing import Any

SINGLE_BYTES_MAX = 64 << 20
PART_BYTES = 16 << 20
PARTS_MAX = 10_000
COPY_BYTES_MAX = 5 << 30
"""S3 copies at most 5 GiB as one part."""


def put_new(client: Any, bucket: str, key: str, source: int) -> tuple[str, int]:
    """(ETag, size) of what was placed from the open file `source`. Raises what boto3 raises; PreconditionFailed: taken."""
    size = os.fstat(source).st_size
    if size <= SINGLE_BYTES_MAX:
        body = os.pread(source, size, 0)
        checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
        # The service compares the checksum before it stores, so that what is placed is what we read.
        done = client.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*", ChecksumSHA256=checksum)
        return done["ETag"], len(body)

    def parts(target: dict[str, str]) -> list[dict[str, Any]]:
        part_bytes = max(PART_BYTES, -(-size // PARTS_MAX))
        sent = []
        for number, at in enumerate(range(0, size, part_bytes), 1):
            answer = client.upload_part(
                **target, PartNumber=number, Body=os.pread(source, part_bytes, at), ChecksumAlgorithm="CRC32"
            )
            sent.append({"PartNumber": number, "ETag": answer["ETag"], **_crc(answer)})
        return sent

    return _complete(client, bucket, key, parts), size


def copy_within(client: Any, bucket: str, old: str, new: str, head: Any) -> None:
    """The version of `old` that `head` describes, under the free key `new`. Raises what boto3 raises, as `put_new` does."""
    if head["ContentLength"] == 0:
        client.put_object(Bucket=bucket, Key=new, Body=b"", IfNoneMatch="*")
        return

    def parts(target: dict[str, str]) -> list[dict[str, Any]]:
        size, sent = head["ContentLength"], []
        for number, at in enumerate(range(0, size, COPY_BYTES_MAX), 1):
            answer = client.upload_part_copy(
                **target,
                PartNumber=number,
                CopySource={"Bucket": bucket, "Key": old},
                CopySourceIfMatch=head["ETag"],
                CopySourceRange=f"bytes={at}-{min(at + COPY_BYTES_MAX, size) - 1}",
            )["CopyPartResult"]
            sent.append({"PartNumber": number, "ETag": answer["ETag"], **_crc(answer)})
        return sent

    _complete(client, bucket, new, parts)


def _complete(client: Any, bucket: str, key: str, parts: Callable[[dict[str, str]], list[dict[str, Any]]]) -> str:
    """The ETag. Parts are given up again when anything fails: a bucket keeps, and charges for, what nobody completed."""
    target = {"Bucket": bucket, "Key": key}
    target["UploadId"] = client.create_multipart_upload(**target, ChecksumAlgorithm="CRC32")["UploadId"]
    completed = False
    try:
        done = client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts(target)}, IfNoneMatch="*")
        completed = True
    finally:
        if not completed:
            _give_up(client, target)
    return str(done["ETag"])


def _crc(answer: Any) -> dict[str, str]:
    return {"ChecksumCRC32": answer["ChecksumCRC32"]} if "ChecksumCRC32" in answer else {}


def _give_up(client: Any, target: dict[str, str]) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    # The first error tells more than this one.
    with contextlib.suppress(BotoCoreError, ClientError):
        client.abort_multipart_upload(**target)
