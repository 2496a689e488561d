"""Files that end at a limit of bytes or amounts, files in every format, compressed files: planned, sealed and proved."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.bounds import MEASURED, head_bytes_max, row_bytes_max
from payments.books import Total
from payments.config import AcquirerSection
from payments.config_files import DelimitedColumns, Encode, FixedField, FixedWidth, Split
from payments.errors import SetAside
from payments.keys import file_manifest_key, outbound_key
from payments.records import OutboundFile
from payments.states import FileState
from reconciliation.certificate import Certificate
from reconciliation.facts import file_facts
from reconciliation.prove_file import prove_file
from tests.unit.transfer.assemble_world import START, TODAY, AssembleWorld, Pay, acquirer, curated_table, take_back
from transfer.encoding import encode
from transfer.file_names import file_name, kind_of
from transfer.splitting import Measures, Used

FIXED = FixedWidth(
    field=[
        FixedField(record="header", name="file_name", width=60),
        FixedField(name="end_to_end_id", width=20),
        FixedField(name="direction", width=4),
        FixedField(name="amount_minor", width=20, align="right", pad="0"),
        FixedField(name="currency", width=3),
        FixedField(name="requested_date", width=8),
        FixedField(record="trailer", name="count", width=9, align="right", pad="0"),
        FixedField(record="trailer", name="sum_minor", width=20, align="right", pad="0"),
    ]
)
COLUMNS = DelimitedColumns(columns=["end_to_end_id", "direction", "amount", "currency", "requested_date"])
FORMATS: dict[str, dict[str, Any]] = {
    "delimited": {},
    "delimited_columns": {"delimited_columns": COLUMNS},
    "fixed_width": {"fixed_width": FIXED},
    "pain.001.001.03": {},
    "pain.001.001.09": {},
    "pain.001.001.11": {},
    "pain.008.001.08": {},
}


def pays(count: int, **changes: Any) -> list[Pay]:
    return [Pay(f"p{n:03}", minor=100 + n, **changes) for n in range(count)]


def certificate_of(world: AssembleWorld, file: OutboundFile) -> Certificate:
    certificate = Certificate(file.name)
    with world.ledger.look() as tx:
        facts = file_facts(tx, file)
    prove_file(certificate, world.store, facts)
    return certificate


def assert_proved(world: AssembleWorld) -> None:
    world.check_books()
    for file in world.files():
        certificate = certificate_of(world, file)
        assert certificate.failed == []
        assert [check.what for check in certificate.checks].count("payments one by one as expected") == 1


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_sealed_and_proved_from_its_bytes(name: str, compression: Any, tmp_path: Path) -> None:
    """Planned, written, compressed, sealed; then count, sums and every payment are found again in the stored bytes."""
    section = acquirer(format=name, rows_per_file_max=7, encode=Encode(compression=compression), **FORMATS[name])
    world = AssembleWorld(tmp_path / "w", section)
    world.run(*pays(10, direction="DBIT" if name.startswith("pain.008") else "CRDT"), chunk_rows=4)
    world.assemble()
    files = world.files()
    assert [(file.state, file.total.count, file.held) for file in files] == [("sealed", 7, ""), ("sealed", 3, "")]
    suffix = {"none": ".csv", "gzip": ".csv.gz", "zstd": ".csv.zst"}[compression]
    assert all(file.name.endswith(suffix) and file.size == len(world.outbound(file)) for file in files)
    assert_proved(world)


def test_a_layout_is_proved_after_the_configuration_changed(tmp_path: Path) -> None:
    """The manifest keeps the layout and the compression: a proof asks it, not what is configured years later."""
    section = acquirer(format="fixed_width", fixed_width=FIXED, encode=Encode(compression="gzip"))
    world = AssembleWorld(tmp_path / "w", section)
    world.run(*pays(5))
    world.assemble()
    (file,) = world.files()
    manifest = json.loads(world.store.get(file_manifest_key(file.acquirer, file.business_date, file.file_id)))
    assert manifest["layout"]["field"][1]["width"] == 20
    content = gzip.decompress(world.outbound(file))
    assert manifest["encoding"]["content_size"] == len(content)
    assert content.count(b"\n") == 7


def tamper(world: AssembleWorld, key: str, change: Callable[[bytes], bytes]) -> None:
    path = world.folder / "store" / key
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(change(data))
    assert path.read_bytes() != data


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"compression": "gzip"', b'"compression": "zstd"'),
        (b'"compression": "gzip"', b'"compression": "lz77"'),
        (b'"content_size": ', b'"content_size": -'),
        (b'"content_size": ', b'"content_size": 1'),
        (b'"content_sha256": "', b'"content_sha256": "0'),
        (b'"width": 20', b'"width": 21'),
        (b'"layout"', b'"Layout"'),
        (b'"encoding"', b'"Encoding"'),
        (b'"format": "fixed', b'"format": "fixxed'),
        (b"{", b""),
    ],
)
def test_a_manifest_that_was_changed_shows(old: bytes, new: bytes, tmp_path: Path) -> None:
    """Whatever is changed in what the manifest says of layout and compression, the certificate no longer ties."""
    section = acquirer(format="fixed_width", fixed_width=FIXED, encode=Encode(compression="gzip"))
    world = AssembleWorld(tmp_path / "w", section)
    world.run(*pays(5))
    world.assemble()
    (file,) = world.files()
    key = file_manifest_key(file.acquirer, file.business_date, file.file_id)
    tamper(world, key, lambda data: data.replace(old, new, 1))
    assert not certificate_of(world, file).ties


def test_a_compressed_file_that_was_changed_shows(tmp_path: Path) -> None:
    """A byte more behind the compressed content is found by the hash, and the content is still counted."""
    world = AssembleWorld(tmp_path / "w", acquirer(encode=Encode(compression="zstd")))
    world.run(*pays(5))
    world.assemble()
    (file,) = world.files()
    tamper(world, outbound_key(file.acquirer, file.business_date, file.file_id, file.name), lambda data: data[:-3])
    failed = {check.what for check in certificate_of(world, file).failed}
    assert {"SHA-256", "size in bytes", "can be read"} <= failed


@pytest.mark.parametrize("name", FORMATS)
def test_no_file_is_larger_than_the_acquirer_takes(name: str, tmp_path: Path) -> None:
    """Files end before the limit of bytes, nobody has to look at them, and every payment is in one of them."""
    most = 6_000
    section = acquirer(format=name, split=Split(bytes_per_file_max=most), **FORMATS[name])
    world = AssembleWorld(tmp_path / "w", section)
    world.run(*pays(120, direction="DBIT" if name.startswith("pain.008") else "CRDT"), chunk_rows=50)
    world.assemble()
    files = world.files()
    assert len(files) > 1
    assert all(file.state == FileState.SEALED and not file.held and file.size <= most for file in files)
    assert sum(file.total.count for file in files) == 120
    # The bound is not so high that files are small for nothing.
    assert all(file.size > most / 3 for file in files[:-1])
    assert_proved(world)


def test_a_payment_larger_than_a_file_may_be_is_held_alone(tmp_path: Path) -> None:
    """It must go somewhere: alone, sealed, and held for a person."""
    world = AssembleWorld(tmp_path / "w", acquirer(split=Split(bytes_per_file_max=700)))
    world.run(Pay("a"), Pay("b", name="N" * 900), Pay("c"))
    world.assemble()
    found = {frozenset(world.payments_of(file)): file for file in world.files()}
    large = found[frozenset({"b"})]
    assert (large.state, large.held) == ("sealed", f"limit: {large.size} bytes, at most 700")
    assert all(not file.held for payments, file in found.items() if payments != {"b"})
    assert_proved(world)


def test_files_end_at_a_limit_of_amounts(tmp_path: Path) -> None:
    """A file never holds more of a currency than its limit; other currencies do not count towards it."""
    world = AssembleWorld(tmp_path / "w", acquirer(split=Split(amount_per_file_max={"EUR": 250})))
    world.run(
        *(Pay(f"e{n}") for n in range(5)), *(Pay(f"u{n}", currency="USD", minor=900) for n in range(3)), chunk_rows=3
    )
    world.assemble()
    sums = [file.total.amount_minor for file in world.files()]
    assert [each.get("EUR/CRDT", 0) for each in sums] == [200, 200, 100]
    assert sum(each.get("USD/CRDT", 0) for each in sums) == 2700
    assert all(not file.held for file in world.files())
    assert_proved(world)


def test_a_payment_above_the_limit_is_held_with_its_own_file(tmp_path: Path) -> None:
    """One payment above the amount of a file goes alone into a file that a second person must release; the others go on."""
    world = AssembleWorld(tmp_path / "w", acquirer(split=Split(amount_per_file_max={"EUR/CRDT": 1_000})))
    world.run(Pay("a"), Pay("b", minor=1_001), Pay("c"), Pay("d", minor=2_000, direction="DBIT"), Pay("e", minor=1_000))
    world.assemble()
    files = {frozenset(world.payments_of(file)): file.held for file in world.files()}
    assert files == {
        frozenset({"a", "c", "d"}): "",
        frozenset({"b"}): "limit: one payment of 1001 minor units of EUR/CRDT, at most 1000 in a file",
        frozenset({"e"}): "",
    }
    assert all(file.state == FileState.SEALED for file in world.files())
    assert_proved(world)


def test_a_replacement_is_one_file_whatever_the_limits(tmp_path: Path) -> None:
    """What takes over a number is not split; where it is larger than allowed by now, a person must look at it."""
    world = AssembleWorld(tmp_path / "w", acquirer())
    world.run(*pays(20))
    world.assemble()
    world.configuration = AssembleWorld(
        tmp_path / "other", acquirer(split=Split(bytes_per_file_max=900, amount_per_file_max={"EUR": 200}))
    ).configuration
    take_back(world, world.files()[0])
    world.assemble()
    old, new = world.files()
    assert (new.replaces, new.sequence, new.total.count) == (old.file_id, old.sequence, 20)
    assert new.held == f"limit: {new.size} bytes, at most 900"
    assert_proved(world)


def test_grouped_payments_are_expected_in_their_order(tmp_path: Path) -> None:
    """Payments sorted into groups have the same order in the file and in what we expect back."""
    world = AssembleWorld(tmp_path / "w", acquirer(format="pain.001.001.09", split=Split(group_payments=True)))
    world.run(*(Pay(f"p{n}", day=TODAY - timedelta(days=n % 3)) for n in range(12)), chunk_rows=4)
    world.assemble()
    (file,) = world.files()
    assert world.outbound(file).count(b"<PmtInf>") == 3
    assert world.expected(file)["line"].to_pylist() == list(range(1, 13))
    assert_proved(world)


def test_a_restart_gives_the_same_files(tmp_path: Path) -> None:
    """The same rows under the same limits are divided the same way, compressed or not (I4)."""
    section = acquirer(
        split=Split(bytes_per_file_max=2_000, amount_per_file_max={"EUR": 900}), encode=Encode(compression="zstd")
    )
    worlds = [AssembleWorld(tmp_path / name, section) for name in ("one", "two")]
    for world in worlds:
        world.run(*pays(40), chunk_rows=7)
        world.assemble()
    assert worlds[0].facts() == worlds[1].facts()
    assert len(worlds[0].files()) > 3


def test_a_file_planned_under_another_compression_is_held(tmp_path: Path) -> None:
    """Its name is fixed and would lie about its bytes."""
    body = tmp_path / "body"
    body.write_bytes(b"content")
    with pytest.raises(SetAside, match="another compression"):
        encode(acquirer(encode=Encode(compression="gzip")), "name.csv", body, None, START)


@settings(max_examples=200, deadline=None)
@given(
    minors=st.lists(st.integers(0, 50), min_size=1, max_size=40),
    rows_max=st.integers(1, 10),
    amount_max=st.integers(50, 200),
    size_max=st.integers(400, 3000),
    pieces=st.integers(1, 7),
)
def test_files_are_full_and_never_fuller(
    minors: list[int], rows_max: int, amount_max: int, size_max: int, pieces: int
) -> None:
    """However rows come in: no file is above a limit, and the next payment would not have fitted into it."""
    section = acquirer(
        rows_per_file_max=rows_max, split=Split(bytes_per_file_max=size_max, amount_per_file_max={"EUR": amount_max})
    )
    table = curated_table(1, 0, [Pay(f"k{n}", minor=minor) for n, minor in enumerate(minors)])
    files: list[list[int]] = []
    used = Used()
    for start in range(0, len(minors), pieces):
        positions = np.arange(start, min(start + pieces, len(minors)))
        measures, at = Measures(section, table, positions), 0
        while at < len(positions):
            taken = measures.fit(at, used)
            if not taken or not files:
                used, taken = Used(), 0
                files.append([])
                taken = measures.fit(at, used)
                assert taken
            measures.add(at, taken, used)
            files[-1] += positions[at : at + taken].tolist()
            at += taken
    assert [row for rows in files for row in rows] == list(range(len(minors)))
    sizes = sizes_of(section, table)
    room = max(1, size_max - head_bytes_max(section.format, None, section.initiating_party))
    for number, rows in enumerate(files):
        assert len(rows) <= rows_max
        assert sum(minors[row] for row in rows) <= amount_max
        assert len(rows) == 1 or sum(sizes[row] for row in rows) <= room + 48 * len(rows)
        if number + 1 < len(files):
            following = files[number + 1][0]
            full = len(rows) == rows_max or sum(minors[row] for row in [*rows, following]) > amount_max
            assert full or sum(sizes[row] for row in [*rows, following]) + 48 * (len(rows) + 1) > room


def sizes_of(section: AcquirerSection, table: pa.Table) -> list[int]:
    return [
        int(row_bytes_max(section.format, None, table.select(MEASURED).slice(n, 1))[0]) - 48 for n in range(len(table))
    ]


def test_names_say_what_they_are_asked_for() -> None:
    """Kind and window are inputs of a name like any other; the suffix of the compression comes behind it."""
    section = acquirer(file_name="{kind}-{window}-{sequence}.txt", encode=Encode(compression="zstd"))
    assert file_name(section, TODAY, 7, 1, window="morning", kind="debits") == "debits-morning-7.txt.zst"


@pytest.mark.parametrize(
    ("sums", "kind"),
    [
        ({"EUR/CRDT": 1, "USD/CRDT": 1}, "credits"),
        ({"EUR/DBIT": 1}, "debits"),
        ({"EUR/CRDT": 1, "EUR/DBIT": 1}, "mixed"),
        ({}, "mixed"),
    ],
)
def test_the_kind_of_a_file_is_what_is_in_it(sums: dict[str, int], kind: str) -> None:
    """Credits, debits, or mixed, by the directions of its sums."""
    assert kind_of(Total(1, sums)) == kind
