"""The stand-in acquirer after a kill, its clock, its settings and its decisions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.acquirer import memory, money
from local.acquirer.behaviour import decide
from local.acquirer.clock import Watch
from local.acquirer.desk import turn
from local.acquirer.settings import KINDS, Partner, WrongSettings, load, parse
from tests.unit.local.acquirer_world import NOON, SHARES, World, payments_of, settings

Effect = Callable[..., Any]


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class Killer:
    """Counts effects on the disk and ends the process in the one wanted: before it, half way, or behind it."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, where: str) -> None:
        self._left = at
        self._where = where
        self._append = memory.append_lines
        patch.setattr(memory, "append_lines", self._appending)
        for name in ("rename", "replace"):
            patch.setattr(Path, name, self._moving(getattr(Path, name)))

    def _is_now(self) -> bool:
        self._left -= 1
        return self._left == 0

    def _appending(self, path: Path, lines: Iterable[Mapping[str, object]]) -> None:
        now, lines = self._is_now(), list(lines)
        if now and self._where == "half":
            content = "".join(json.dumps(line) + "\n" for line in lines)
            with path.open("a") as file:
                file.write(content[: len(content) // 2])
        elif not now or self._where == "behind":
            self._append(path, lines)
        if now:
            raise Killed

    def _moving(self, move: Effect) -> Effect:
        def moving(*args: Any) -> None:
            now = self._is_now()
            if not now or self._where == "behind":
                move(*args)
            if now:
                raise Killed

        return moving


def _arrivals(world: World, now: datetime) -> None:
    """What the client does, once: two good files, a gap, a name again."""
    marker = world.directory / f"sent-{now:%H%M%S}"
    if marker.exists():
        return
    if now == NOON:
        world.send("a.csv", 1, payments_of(60, 1))
        world.send("b.csv", 2, payments_of(60, 2))
    if now == NOON + timedelta(seconds=60):
        world.send("a.csv", 3, payments_of(5, 3))
        world.send("z.csv", 9, payments_of(5, 4))
    marker.touch()


def _live(world: World) -> tuple[dict[str, bytes], list[dict[str, Any]], list[str], bool]:
    """From noon on to the last answer, on a clock that stands still over a kill; all that is left behind."""
    now: datetime | None = NOON
    was_killed = False
    while now is not None:
        _arrivals(world, now)
        try:
            now = world.work(now)
        except Killed:
            was_killed = True
            world.restart()
    archive = sorted(each.name for each in (world.root / "archive").iterdir())
    return world.answers(), world.truth(), archive, was_killed


@pytest.mark.parametrize("where", ["before", "half", "behind"])
def test_a_kill_at_any_effect_changes_nothing(tmp_path: Path, where: str) -> None:
    """Killed before, in or behind any one of its writes and renames, the acquirer leaves the same bytes and truth."""
    *undisturbed, _ = _live(World(tmp_path / "undisturbed"))
    killed, at = True, 0
    while killed:
        at += 1
        with pytest.MonkeyPatch.context() as patch:
            world = World(tmp_path / f"killed-{at}")
            Killer(patch, at, where)
            *disturbed, killed = _live(world)
        assert disturbed == undisturbed, at
    assert at > 20


def test_two_kills_around_another_partners_truth_take_nothing_back(tmp_path: Path) -> None:
    """A truth that was cut back once is not cut again after somebody else wrote behind it."""
    world = World(tmp_path)
    world.send("a.csv", 1, payments_of(60))
    world.work(NOON)
    with pytest.MonkeyPatch.context() as patch:
        Killer(patch, 2, "half")
        with pytest.raises(Killed):
            world.work(NOON + timedelta(seconds=60))
    world.restart()
    assert world.truth() == []
    memory.append_lines(tmp_path / "truth" / "acquirer.jsonl", [{"kind": "file", "partner": "another"}])
    world.restart()
    world.work(NOON + timedelta(seconds=60))
    assert [each["partner"] for each in world.truth()] == ["another", "northbank"]


def test_answers_do_not_depend_on_when_the_work_was_done(tmp_path: Path) -> None:
    """An acquirer that slept over every due time answers with the bytes of one that did not."""
    early, late = World(tmp_path / "early"), World(tmp_path / "late")
    for world in (early, late):
        world.send("a.csv", 1, payments_of(200))
        world.work(NOON)
    due: datetime | None = NOON
    while due is not None:
        due = early.work(due)
        early.restart()
    late.restart()
    assert late.work(NOON + timedelta(days=9)) is None
    assert late.answers() == early.answers()


def test_a_new_tick_is_answered_when_nothing_is_due_any_more(tmp_path: Path) -> None:
    """The tick and the next due time are published; a file found later at the same tick moves the due time."""
    world, watch, clock = World(tmp_path), Watch(tmp_path), tmp_path / "clock"
    answer = tmp_path / "acquirer" / "clock"
    clock.write_text("2026-03-02T12:00:00Z\n5\n")
    assert watch.is_news(watch.read())
    turn(world.desk, watch)
    assert json.loads(answer.read_text()) == {"tick": 5, "next_due_at": None}
    assert not watch.is_news(watch.read())
    world.send("a.csv", 1, payments_of(5))
    turn(world.desk, watch)
    assert json.loads(answer.read_text()) == {"tick": 5, "next_due_at": "2026-03-02T12:01:00Z"}
    clock.write_text("2026-03-02T12:01:00Z\n6\n")
    turn(world.desk, watch)
    assert json.loads(answer.read_text()) == {"tick": 6, "next_due_at": "2026-03-02T13:00:00Z"}
    assert list(world.answers()) == ["a.csv.ack"]


def test_a_file_found_while_the_clock_moves_waits_for_the_next_look(tmp_path: Path) -> None:
    """A look during which the tick changed dates nothing: the file is picked up at the time that is sure."""
    world, watch, clock = World(tmp_path), Watch(tmp_path), tmp_path / "clock"
    clock.write_text("2026-03-02T12:00:00Z\n5\n")
    look = world.desk.look

    def look_while_time_moves() -> list[list[str]]:
        clock.write_text("2026-03-02T12:30:00Z\n6\n")
        world.send("a.csv", 1, payments_of(5))
        return look()

    world.desk.look = look_while_time_moves  # type: ignore[method-assign]
    turn(world.desk, watch)
    assert not (tmp_path / "acquirer" / "clock").exists()
    world.desk.look = look  # type: ignore[method-assign]
    turn(world.desk, watch)
    due = json.loads((tmp_path / "acquirer" / "clock").read_text())["next_due_at"]
    assert due == "2026-03-02T12:31:00Z"


def test_without_a_clock_file_the_real_time_counts(tmp_path: Path) -> None:
    """No DIR/clock: now is now, to the second, and nothing is published."""
    watch = Watch(tmp_path)
    before = datetime.now(UTC).replace(microsecond=0)
    moment = watch.read()
    watch.answer(moment, None)
    assert before <= moment.now <= datetime.now(UTC)
    assert moment.tick is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "yesterday\n1\n", "2026-03-02T12:00:00\n1\n", "2026-03-02T12:00:00Z\n"])
def test_a_clock_that_cannot_be_read_is_an_error(tmp_path: Path, text: str) -> None:
    """Anything but a time with zone and a tick is not taken for a time."""
    (tmp_path / "clock").write_text(text)
    with pytest.raises(ValueError, match=r".+"):
        Watch(tmp_path).read()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"seed": "7"}, "seed"),
        ({"port": 70_000}, "port"),
        ({"colour": 1}, "colour"),
        ({"partners": []}, "partners"),
        ({"partners": [{"name": "Up"}]}, r"partners\[0\].name"),
        ({"partners": [{"name": "a"}, {"name": "a"}]}, "same name"),
        ({"partners": [{"name": "a", "format": "pain"}]}, r"partners\[0\].format"),
        ({"partners": [{"name": "a", "results_list": "some"}]}, r"partners\[0\].results_list"),
        ({"partners": [{"name": "a", "ack_delay_s": -1}]}, r"partners\[0\].ack_delay_s"),
        ({"partners": [{"name": "a", "shares": {"stolen": 0.1}}]}, r"partners\[0\].shares.stolen"),
        ({"partners": [{"name": "a", "shares": {"late": 2}}]}, r"partners\[0\].shares.late"),
        ({"partners": [{"name": "a", "shares": {"late": 0.6, "omitted": 0.6}}]}, r"partners\[0\].shares"),
    ],
)
def test_wrong_settings_name_the_key(change: dict[str, Any], key: str) -> None:
    """A value that is not allowed gives a message with the path of its key."""
    with pytest.raises(WrongSettings, match=key):
        parse(settings() | change)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_settings_that_cannot_be_read_are_wrong_settings(tmp_path: Path, content: str | None) -> None:
    """A missing or broken file is reported as such."""
    (tmp_path / "acquirer").mkdir()
    if content is not None:
        (tmp_path / "acquirer" / "acquirer.json").write_text(content)
    with pytest.raises(WrongSettings, match=r"acquirer\.json"):
        load(tmp_path)


@given(count=st.integers(1, 400), seed=st.integers(0, 2**31), listing=st.sampled_from(("all", "exceptions_only")))
def test_decisions_are_a_pure_function_within_the_file(count: int, seed: int, listing: str) -> None:
    """The same arguments give the same plan, on lines of the file, never more of a kind than its share rounded up."""
    partner = Partner("northbank", results_list=listing, shares=SHARES)
    plan = decide(seed, partner, "a.csv", count)
    assert plan == decide(seed, partner, "a.csv", count)
    assert not plan.decisions.keys() & plan.inventions.keys()
    assert all(1 <= line <= count for line in plan.decisions.keys() | plan.inventions.keys())
    kinds = [each.kind for each in plan.decisions.values()] + ["invented"] * len(plan.inventions)
    assert all(kinds.count(kind) <= SHARES[kind] * count + 1 for kind in KINDS)


@given(minor=st.integers(0, 2**70), currency=st.sampled_from(("EUR", "JPY", "KWD", "CLF")))
def test_amounts_as_text_and_back(minor: int, currency: str) -> None:
    """Minor units survive the way through text, also in sums beyond 64 bits."""
    places = money.decimals(currency)
    text = money.text_of(minor, places)
    assert money.minor_of(text) == minor
    assert len(text.partition(".")[2]) == places
    assert money.sums_of(money.sums_text({f"{currency}/CRDT": minor, "USD/DBIT": 1})) == {
        f"{currency}/CRDT": minor,
        "USD/DBIT": 1,
    }


@pytest.mark.parametrize("currency", ["EUR", "USD", "GBP", "JPY", "KRW", "KWD", "BHD", "CLF"])
def test_the_other_currency_has_as_many_decimals(currency: str) -> None:
    """A changed currency is another one in which the same text is an amount."""
    other = money.other_currency(currency)
    assert other != currency
    assert money.decimals(other) == money.decimals(currency)
