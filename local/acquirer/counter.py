"""One partner's counter: picks files up, checks them, and gives every answer at the moment it is due."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from local.acquirer import answers_delimited, answers_pain, reading, reading_pain
from local.acquirer.answers import Filed, Sheet, Truth, about_prefix, file_truth, write
from local.acquirer.behaviour import decide
from local.acquirer.clock import text_of, time_of
from local.acquirer.memory import Journal, TruthBook
from local.acquirer.reading import Checked, Expected, Head
from local.acquirer.settings import Partner

ACK = 0
UNFINISHED = (".tmp", ".part", ".filepart")
FOLDERS = ("inbox", "outbox", "archive")


@dataclass(slots=True)
class Case:
    """A file in our hands. `due` maps the number of each answer still owed (0: acknowledgement) to its time."""

    name: str
    archived_as: str
    picked_at: datetime
    checked: Checked | None = None
    filed: Filed | None = None
    sequence_next: int = 0
    due: dict[int, datetime] = field(default_factory=dict)


class Counter:
    """Everything about one partner. Its state is a fold of its journal, so that a restart goes on where a kill came."""

    def __init__(self, root: Path, partner: Partner, seed: int, truth: TruthBook) -> None:
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True, exist_ok=True)
        self._root = root
        self._partner = partner
        self._seed = seed
        self._truth = truth
        self._journal = Journal(root / "state.jsonl")
        self._cases: dict[str, Case] = {}
        self._taken: set[str] = set()
        self._message_ids: set[str] = set()
        self._sequence_next = partner.sequence_first
        self._recall()

    def look(self) -> list[str]:
        """Finished files in the inbox, in the order of their names."""
        with os.scandir(self._root / "inbox") as entries:
            return sorted(
                each.name
                for each in entries
                if not each.name.startswith(".")
                and not each.name.endswith(UNFINISHED)
                and each.is_file(follow_symlinks=False)
            )

    def work(self, names: list[str], now: datetime) -> datetime | None:
        """Take these files in, give every answer that is due by `now`, and say when the next one is."""
        for name in names:
            self._pick_up(name, now)
        for case in self._cases.values():
            if case.checked is None:
                self._check(case)
        for case in list(self._cases.values()):
            self._answer(case, now)
        return min((at for case in self._cases.values() for at in case.due.values()), default=None)

    def _pick_up(self, name: str, now: datetime) -> None:
        again = 0
        archived_as = name
        while archived_as in self._taken:
            again += 1
            archived_as = f"{name}.again.{again}"
        self._journal.append("picked", file=name, archived_as=archived_as, at=text_of(now))
        self._take(Case(name, archived_as, now))

    def _take(self, case: Case) -> None:
        """Into the archive, unless it is there already or the client took it back in between."""
        target = self._root / "archive" / case.archived_as
        if not target.exists():
            try:
                (self._root / "inbox" / case.name).rename(target)
            except FileNotFoundError:
                self._journal.append("vanished", archived_as=case.archived_as)
                self._taken.discard(case.archived_as)
                return
        self._taken.add(case.archived_as)
        self._cases[case.archived_as] = case

    def _check(self, case: Case) -> None:
        delimited = self._partner.format == "delimited"
        sequence = self._sequence_next if delimited else None
        expected = Expected(self._partner.name, sequence, frozenset(self._message_ids))
        reader = reading.check if delimited else reading_pain.check
        checked = reader(self._root / "archive" / case.archived_as, case.name, expected)
        if case.archived_as != case.name:
            checked = reading.refused_again(checked)
        head = checked.head
        self._journal.append(
            "checked",
            archived_as=case.archived_as,
            head=[head.message_id, head.sequence, head.business_date],
            verdict=[checked.verdict, checked.code, checked.text],
            count=checked.count,
            sums=checked.sums,
        )
        self._conclude(case, checked)

    def _conclude(self, case: Case, checked: Checked) -> None:
        """What follows from a verdict: the number is used, the id is known, the answers are owed."""
        case.checked = checked
        if case.archived_as == case.name:
            if checked.head.message_id:
                self._message_ids.add(checked.head.message_id)
            if checked.head.sequence == self._sequence_next:
                self._sequence_next += 1
        case.sequence_next = self._sequence_next
        partner = self._partner
        delays = {ACK: partner.ack_delay_s}
        if checked.verdict == "ACTC":
            plan = decide(self._seed, partner, case.name, checked.count)
            prefix = about_prefix(partner.name, case.name)
            case.filed = Filed(partner.name, case.name, checked, plan, partner.results_list, prefix)
            of_result = {1: partner.result_delay_s, 2: partner.late_delay_s, 3: partner.return_delay_s}
            delays |= {number: of_result[number] for number in plan.answers()}
        case.due = {number: case.picked_at + timedelta(seconds=delay) for number, delay in delays.items()}

    def _answer(self, case: Case, now: datetime) -> None:
        due = sorted(number for number, at in case.due.items() if at <= now)
        if due and case.checked is not None:
            parts: dict[str, Path] = {}
            truth = self._write(case, case.checked, due, parts)
            self._journal.append("telling", archived_as=case.archived_as, answers=due, truth=self._truth.length())
            self._truth.append(truth)
            for name, part in parts.items():
                part.replace(part.with_name(name))
            self._journal.append("told", archived_as=case.archived_as, answers=due)
            self._settle(case, due)

    def _settle(self, case: Case, told: list[int]) -> None:
        for number in told:
            case.due.pop(number, None)
        if not case.due:
            del self._cases[case.archived_as]

    def _write(self, case: Case, checked: Checked, due: list[int], parts: dict[str, Path]) -> list[Truth]:
        """The answers as temporary files, noted in `parts` under the names they will have; returns the truth about them."""
        truth: list[Truth] = []
        if ACK in due:
            part = self._part(parts, case, "ack")
            part.write_bytes(self._acknowledgement(case, checked))
            truth.append(file_truth(self._partner.name, case.name, checked))
        results = [number for number in due if number != ACK]
        if results and case.filed is not None:
            by_number = self._write_results(case, case.filed, results, parts)
            truth += (each for number in results for each in by_number[number])
        return truth

    def _write_results(
        self, case: Case, filed: Filed, results: list[int], parts: dict[str, Path]
    ) -> dict[int, list[Truth]]:
        delimited = self._partner.format == "delimited"
        payments = reading.payments if delimited else reading_pain.payments
        make = answers_delimited.DelimitedSheet if delimited else answers_pain.PainSheet
        with ExitStack() as stack:
            sheets: dict[int, Sheet] = {}
            for number in results:
                sink = stack.enter_context(self._part(parts, case, f"result.{number}").open("wb"))
                sheets[number] = make(sink, filed, number, text_of(case.due[number]))
            archived = self._root / "archive" / case.archived_as
            rows = stack.enter_context(payments(archived, filed.checked.count))
            return write(filed, rows, sheets)

    def _acknowledgement(self, case: Case, checked: Checked) -> bytes:
        created_at = text_of(case.due[ACK])
        if self._partner.format != "delimited":
            return answers_pain.acknowledgement(case.name, checked, created_at)
        return answers_delimited.acknowledgement(case.name, checked, created_at, case.sequence_next)

    def _name(self, case: Case, what: str) -> str:
        if self._partner.format == "delimited":
            return f"{case.archived_as}.{what}"
        again = case.archived_as[len(case.name) :]
        return f"{case.name.removesuffix('.xml')}{again}.{what}.xml"

    def _part(self, parts: dict[str, Path], case: Case, what: str) -> Path:
        name = self._name(case, what)
        parts[name] = self._root / "outbox" / f".{name}.part"
        return parts[name]

    def _recall(self) -> None:
        """Fold the journal. An answer that was being given is undone, and so owed again."""
        telling: int | None = None
        for event in self._journal.load():
            match event["event"]:
                case "picked":
                    case = Case(event["file"], event["archived_as"], time_of(event["at"]))
                    self._cases[case.archived_as] = case
                    self._taken.add(case.archived_as)
                case "vanished":
                    del self._cases[event["archived_as"]]
                    self._taken.discard(event["archived_as"])
                case "checked":
                    self._conclude(self._cases[event["archived_as"]], _checked(event))
                case "telling":
                    telling = event["truth"]
                case "told":
                    self._settle(self._cases[event["archived_as"]], event["answers"])
                    telling = None
                case "untold":
                    telling = None
        if telling is not None:
            self._truth.cut(telling)
            self._journal.append("untold")
        for case in [each for each in self._cases.values() if each.checked is None]:
            del self._cases[case.archived_as]
            self._take(case)


def _checked(event: dict[str, Any]) -> Checked:
    verdict, code, text = event["verdict"]
    return Checked(Head(*event["head"]), verdict, code, text, event["count"], event["sums"])
