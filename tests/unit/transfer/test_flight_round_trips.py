"""Renames in strict order cost one round trip each: the name is asked for ahead, the last look travels with the rename."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.hostile_acquirer import HOST, USER, HostileAcquirer, hostile_acquirer
from local.hostile_switches import Planted, Switches
from payments.config import Sftp
from payments.errors import TargetExists, Unreachable
from tests.unit.transfer.deliver_world import DeliverWorld, sftp
from tests.unit.transfer.flight_world import FlightWorld, Sky
from transfer.deliver import deliver
from transfer.many_acts import Act, OneByOne
from transfer.sftp import connect


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileAcquirer]:
    with hostile_acquirer(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def session(server: HostileAcquirer) -> Iterator[Any]:
    server.clear()
    server.plant(Switches())
    with connect(settings(server), key=server.client_key.read_bytes(), password=None) as drop:
        yield drop


def settings(server: HostileAcquirer) -> Sftp:
    return Sftp(host=HOST, port=server.port, user=USER, host_keys=list(server.host_keys), channel_timeout_s=20)


def lay(server: HostileAcquirer, name: str, body: bytes = b"ours") -> None:
    (server.root / "inbox" / name).write_bytes(body)


def test_the_next_name_is_asked_for_while_a_file_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strict: file 2's name is asked for before the answer to file 1's rename; its rename waits until 1 is in the ledger."""
    world = FlightWorld(tmp_path, files=5, sftp=sftp(files_in_flight=8), sequence="strict")
    names = [f"inbox/{file.name}" for file in world.files()]
    seen: list[tuple[str, int]] = []

    def begin(sky: Sky, act: Act) -> int:
        if act.verb in {"free", "place"}:
            at = names.index(act.given[-1])
            seen.append((act.verb, at))
            if act.verb == "place":
                assert set(world.states()[:at]) <= {"delivered"}, "renamed before the file before it was delivered"
        return begun(sky, act)

    def renamed(_sky: Sky, temporary: str, target: str) -> Any:
        seen.append(("answered", names.index(target)))
        return placed(_sky, temporary, target)

    begun, placed = Sky.begin, Sky.place
    monkeypatch.setattr(Sky, "begin", begin)
    monkeypatch.setattr(Sky, "place", renamed)
    world.fly(1)
    assert world.states() == ["delivered"] * 5
    for at in range(1, 5):
        assert seen.index(("free", at)) < seen.index(("answered", at - 1)), "nobody asked ahead"
        assert at < 2 or seen.index(("free", at)) > seen.index(("answered", at - 2)), (
            "asked long before it was its turn"
        )


def test_a_rename_and_its_last_look_travel_together(server: HostileAcquirer, session: Any) -> None:
    """Both requests are on their way before the first answer, and the act gives what lies there then."""
    lay(server, ".one.part")
    session.begin(Act("place", ("inbox/.one.part", "inbox/one")))
    assert session._wire.under_way == 2
    ended = session.ended(wait=True)
    assert (ended.error, ended.value.name, ended.value.size) == (None, "one", 4)


def test_a_name_that_is_taken_is_no_answer_to_the_look(server: HostileAcquirer, session: Any) -> None:
    """A rename that was refused is refused, whatever lies under the target; both answers are used up, and the session goes on."""
    lay(server, ".two.part")
    lay(server, "two", b"somebody's")
    session.begin(Act("place", ("inbox/.two.part", "inbox/two")))
    assert type(session.ended(wait=True).error) is TargetExists
    session.begin(Act("free", ("inbox/two",)))
    assert type(session.ended(wait=True).error) is TargetExists
    session.begin(Act("free", ("inbox/nobody",)))
    assert session.ended(wait=True).error is None
    assert session.stat("inbox/two").size == len(b"somebody's")
    assert (session._wire.under_way, session._wire._arrived, session._wire._forgotten) == (0, {}, set())


def test_a_look_whose_answer_is_lost_takes_nothing_away(server: HostileAcquirer, tmp_path: Path) -> None:
    """The rename is confirmed and the link breaks at the look behind it: delivered by the server's yes, and sent once."""
    server.clear()
    world = DeliverWorld(tmp_path, sftp=settings(server))
    before_the_look = 3  # is the name free, is the upload whole, is the name still free
    server.plant(Switches(lose_reply=(Planted("stat", before_the_look + 1),)))
    key = server.client_key.read_bytes()
    deliver(world.ports(connect=lambda: connect(settings(server), key=key, password=None)))
    assert server.faults() == 1
    receipt = world.receipt(world.file())
    assert receipt is not None
    assert (world.states(), receipt.verified_by) == (["delivered"], "rename confirmed")
    assert server.requests()["rename"] == 1


def test_a_rename_whose_answer_is_lost_is_no_rename_that_was_seen(server: HostileAcquirer, session: Any) -> None:
    """Without an answer to the rename the look behind it proves nothing: the act ends as unreachable."""
    lay(server, ".three.part")
    server.plant(Switches(lose_reply=(Planted("rename"),)))
    session.begin(Act("place", ("inbox/.three.part", "inbox/three")))
    assert type(session.ended(wait=True).error) is Unreachable
    assert (server.root / "inbox/three").exists()


def test_one_act_at_a_time_places_as_well(server: HostileAcquirer, session: Any) -> None:
    """Where acts go one by one, the drop's own rename asks for the name; a look that fails takes nothing away there either."""
    lay(server, ".four.part")
    one = OneByOne(session)
    one.begin(Act("free", ("inbox/four",)))
    one.begin(Act("place", ("inbox/.four.part", "inbox/four")))
    assert [one.ended(wait=True) is not None, one.ended(wait=True).value.size] == [True, 4]  # type: ignore[union-attr]
    lay(server, ".five.part")
    server.plant(Switches(lose_reply=(Planted("stat", 2),)))
    one.begin(Act("place", ("inbox/.five.part", "inbox/five")))
    ended = one.ended(wait=True)
    assert ended is not None
    assert (ended.value, ended.error) == (None, None)
    assert (server.root / "inbox/five").exists()
