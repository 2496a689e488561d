"""Links to stored objects for people without rights: what they open, for how long, and what they do not."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from payments.errors import SetAside
from runtime import aws
from runtime.links import link_to
from runtime.store_s3 import S3Store
from runtime.wiring import World
from tests.unit.dashboard import page_world as pw

KEY = "exports/a/b/mismatches.csv"
LIFE = timedelta(minutes=5)


@pytest.fixture
def on_s3(tmp_path: Path, moto_endpoint: str) -> World:
    """A world whose exports lie in a bucket of their own, below a prefix."""
    bucket = f"bucket-{uuid.uuid4().hex}"
    client = aws.client("s3", endpoint=moto_endpoint)
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": aws.region()})
    client.close()
    stores = f'[stores]\ns3_endpoint = "{moto_endpoint}"\nby_store.exports = "s3://{bucket}/some/prefix"\n'
    (tmp_path / "tieout.toml").write_text(stores + pw.CONFIGURATION)
    return World.open(str(tmp_path / "tieout.toml"))


def test_a_link_opens_one_object_for_minutes(on_s3: World) -> None:
    """It is signed for this key and this time by Signature Version 4, and whoever has it needs nothing else."""
    on_s3.store.put(KEY, b"id\r\n")
    link = link_to(on_s3, KEY, LIFE)
    answer = httpx.get(link, trust_env=False)
    assert (answer.status_code, answer.content) == (200, b"id\r\n")
    signed = parse_qs(urlsplit(link).query)
    assert signed["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert signed["X-Amz-Expires"] == ["300"]
    assert urlsplit(link).path.endswith(f"/some/prefix/{KEY}")


@pytest.mark.usefixtures("moto_endpoint")
def test_a_link_is_of_the_buckets_own_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """On AWS it names the region's address: the one for all regions sends browsers elsewhere, where the signature is wrong."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    address = urlsplit(S3Store("bucket", "some/prefix").link(KEY, LIFE))
    assert (address.scheme, address.netloc) == ("https", "s3.eu-central-1.amazonaws.com")
    assert address.path == f"/bucket/some/prefix/{KEY}"


def test_files_have_no_links(tmp_path: Path) -> None:
    """A store of files signs nothing: the page itself hands out what is in it."""
    assert link_to(pw.page_world(tmp_path), KEY, LIFE) == ""


def test_what_is_no_key_gets_no_link(on_s3: World) -> None:
    """A name that would leave its place is refused before anything is signed."""
    with pytest.raises(SetAside):
        link_to(on_s3, "exports/../raw/x", LIFE)
