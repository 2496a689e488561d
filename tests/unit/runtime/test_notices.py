"""Notices: their form, that reading them is safe, and that every put sends one."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.errors import SetAside
from runtime.notices import NotifyingStore, key_of, notice
from runtime.store_file import FileStore

FROM_AWS = """{"version":"0","id":"00000000-0000-4000-8000-000000000001","detail-type":"Object Created","source":"aws.s3",
"account":"000000000001","time":"2026-03-02T06:00:00Z","region":"eu-central-1","resources":["arn:aws:s3:::stores"],
"detail":{"version":"0","bucket":{"name":"stores"},"object":{"key":"tieout/raw/legacy/2026-03-02/000001/a b%20+.parquet",
"size":5,"etag":"00000000000000000000000000000005","version-id":"x","sequencer":"0000000000000001"},
"request-id":"REQUEST1","requester":"000000000002","source-ip-address":"192.0.2.1","reason":"CompleteMultipartUpload"}}"""


def changed(**changes: Any) -> str:
    body = json.loads(notice("stores", "raw/x", 5))
    for path, value in changes.items():
        place = body
        *parents, last = path.split("__")
        for each in parents:
            place = place[each]
        place[last.replace("_", "-")] = value
    return json.dumps(body)


def test_notice_has_the_form_of_eventbridge() -> None:
    """A notice of ours has the fields of EventBridge's message, with a UUID, and equal inputs give equal bytes."""
    body = notice("stores", "raw/x", 5)
    parsed = json.loads(body)
    assert (parsed["version"], parsed["source"], parsed["detail-type"]) == ("0", "aws.s3", "Object Created")
    assert parsed["detail"]["bucket"] == {"name": "stores"}
    assert parsed["detail"]["object"] == {"key": "raw/x", "size": 5}
    assert parsed["detail"]["reason"] == "PutObject"
    assert str(uuid.UUID(parsed["id"])) == parsed["id"]
    assert notice("stores", "raw/x", 5) == body
    others = [notice("other", "raw/x", 5), notice("stores", "raw/y", 5), notice("stores", "raw/x", 6)]
    assert len({json.loads(each)["id"] for each in [body, *others]}) == 4


def test_key_of_a_notice_from_aws() -> None:
    """A message of the documented form gives its key as it stands, never URL-decoded."""
    assert key_of(FROM_AWS) == "tieout/raw/legacy/2026-03-02/000001/a b%20+.parquet"


PARTS = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="/\\"), min_size=1, max_size=60)


@given(PARTS.filter(lambda part: part not in {".", ".."}), st.integers(0, 2**53))
def test_notice_and_key_of_are_inverse(part: str, size: int) -> None:
    """Whatever key goes into a notice comes out of it."""
    assert key_of(notice("stores", f"raw/{part}", size)) == f"raw/{part}"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        '"raw/x"',
        "{",
        "{}",
        "[" * 100_000,
        '{"a":' * 50_000,
        '{"source": "aws.s3"}',
        "\ud800",
        " " * (257 << 10),
        changed(source="aws.ec2"),
        changed(detail_type="Object Deleted"),
        changed(detail=None),
        changed(detail__object=[]),
        changed(detail__object__key=7),
        changed(detail__object__key=""),
        changed(detail__object__key="/etc/passwd"),
        changed(detail__object__key="raw/../../x"),
        changed(detail__object__key="raw/\0"),
        changed(detail__object__key="raw/" + "x" * 2000),
        changed(detail__bucket="stores"),
        '{"Records":[{"s3":{"object":{"key":"raw/x"}}}]}',
    ],
    ids=lambda body: ascii(body[:30]),
)
def test_anything_else_is_set_aside(body: str) -> None:
    """A message that is no notice about a key of ours is set aside, with what to do."""
    with pytest.raises(SetAside) as raised:
        key_of(body)
    assert raised.value.next_step


@given(
    st.text(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    ).map(json.dumps)
)
def test_random_messages_are_set_aside(body: str) -> None:
    """No message whatever raises anything but SetAside."""
    with pytest.raises(SetAside):
        key_of(body)


def test_set_aside_message_is_not_repeated() -> None:
    """What is in a strange message stays out of the error."""
    with pytest.raises(SetAside) as raised:
        key_of('{"account": "canary-DE89370400440532013000"}')
    assert "canary" not in str(raised.value)


def test_every_put_is_told_also_when_adopted(tmp_path: Path) -> None:
    """A put tells key and size after it is stored; a put that finds the object there tells the stored size."""
    told: list[tuple[str, int]] = []
    inner = FileStore(tmp_path / "store")

    def emit(key: str, size: int) -> None:
        assert inner.exists(key)
        told.append((key, size))

    store = NotifyingStore(inner, emit)
    (tmp_path / "spooled").write_bytes(b"spooled")
    assert not store.put("raw/a", b"abc").adopted
    assert store.put("raw/a", b"longer").adopted
    store.put_file("raw/b", tmp_path / "spooled")
    store.put_file("raw/b", tmp_path / "spooled")
    assert told == [("raw/a", 3), ("raw/a", 3), ("raw/b", 7), ("raw/b", 7)]


def test_reading_tells_nobody(tmp_path: Path) -> None:
    """Reads go through unchanged, and a put that fails tells nothing."""
    told: list[str] = []
    store = NotifyingStore(FileStore(tmp_path), lambda key, _: told.append(key))
    FileStore(tmp_path).put("raw/a", b"abc")
    assert store.get("raw/a") == b"abc"
    assert store.exists("raw/a")
    assert list(store.keys("raw/")) == ["raw/a"]
    with store.local("raw/a") as path:
        assert path.read_bytes() == b"abc"
    with pytest.raises(SetAside):
        store.put("../a", b"")
    assert told == []
