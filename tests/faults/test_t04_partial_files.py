"""T4: a greedy reader never sees a file that is not whole, wherever the link is cut; 200 seeded runs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.hostile_acquirer import HostileAcquirer
from local.hostile_switches import Planted, Switches
from payments.states import FileState
from tests.faults.hostile_world import HostileWorld, Warm, hostile
from transfer.deliver import deliver

RUNS = 20
CUT_AGAIN = 0.3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileAcquirer]:
    with hostile(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("share", [0, 1, 50, 99, 100])
def test_a_link_cut_anywhere_never_shows_a_part_of_a_file(
    server: HostileAcquirer, tmp_path: Path, share: int, seed: int
) -> None:
    """T4: cut at this share of the bytes, sometimes again at any byte: the reader saw sealed files only, each once."""
    seeded = random.Random(1_000 * share + seed)
    world = HostileWorld(tmp_path, server, payments=RUNS)
    warm = Warm(world)
    ports = world.deliver_ports(connector=warm.connect)
    for file in world.hold_all():
        world.change(file, held="")
        cuts = [-(-file.size * share // 100)]
        if seeded.random() < CUT_AGAIN:
            cuts.append(seeded.randrange(file.size + 1))
        for cut in cuts:
            server.plant(Switches(cut_at_byte=cut, times=1))
            deliver(ports)
            world.next_day()
            assert server.faults() == 1, "the link was not cut"
            assert server.contents() == {}, "something was seen of a file that was not sent"
        server.plant(Switches())
        deliver(ports)
        world.next_day()
        world.check()
        assert [content.sha256 for content in server.contents()[file.name]] == [file.sha256]
        assert list(world.lying_in()) == [file.name], "a temporary file stays behind"
        (server.root / "inbox" / file.name).rename(server.root / "archive" / file.name)
    warm.close()
    assert world.states() == [FileState.DELIVERED] * RUNS
    assert len(server.hands()) == RUNS


def test_a_client_that_uploads_under_the_last_name_is_seen(server: HostileAcquirer, tmp_path: Path) -> None:
    """The reader is greedy enough: whoever writes to the final name is found out by every part that is seen."""
    world = HostileWorld(tmp_path, server, payments=0)
    server.plant(Switches(refuse=(Planted("fsync"),)))
    source = tmp_path / "source"
    source.write_bytes(bytes(range(250)) * 4_000)
    with world.connect() as drop:
        drop.upload(source, "inbox/late.csv")
    assert server.partial() == ["late.csv"]
    sizes = [content.size for content in server.contents()["late.csv"]]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (0, 1_000_000)
    assert len(sizes) >= 1 + server.requests()["write"]
