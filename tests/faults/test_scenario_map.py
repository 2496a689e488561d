"""Which tests cover which scenario of delivery and collection. The map is checked: every test that it names is there.

Everything named `tests/faults/test_tNN_*` runs over a real session against the hostile acquirer and asks the same oracle
(`tests/faults/oracle.py`). The others cover the same promise nearer to the code, or on another server.

T1   tests/faults/test_t01_silent_success.py, tests/faults/test_delivery_faults.py (any exception at any act),
     tests/faults/test_sftp_faults.py, tests/faults/test_sftp_links.py, tests/faults/test_sftp_strangers.py
T2   tests/faults/test_t02_retry_sends_nothing.py, tests/faults/test_delivery_faults.py
T3   tests/faults/test_t03_two_files_one_name.py, tests/faults/test_delivery_faults.py, tests/faults/test_delivery_openssh.py
T4   tests/faults/test_t04_partial_files.py
T5   tests/faults/test_t05_rename_lost.py, tests/faults/test_delivery_faults.py, tests/faults/test_sftp_faults.py
T6   tests/faults/test_t06_servers_that_cannot.py, tests/faults/test_sftp_faults.py, tests/unit/transfer/test_sftp_wire.py,
     tests/unit/transfer/test_probe.py
T7   tests/faults/test_t07_delivered_twice.py, tests/faults/test_delivery_takeover.py,
     tests/faults/test_delivery_openssh.py (SIGSTOP and SIGCONT)
T8   tests/faults/test_kill.py, tests/faults/test_assemble_crash.py, tests/faults/test_delivery_takeover.py,
     tests/unit/reconciliation/test_reconcile_crashes.py
T9   tests/faults/test_clocks.py, tests/faults/test_bad_input.py (the server away, disks full),
     tests/unit/runtime/test_wake_by_subject.py
T10  tests/faults/test_clocks.py, tests/unit/transfer/test_windows_times.py, tests/unit/runtime/test_clock_ahead.py,
     tests/contract/test_ledger_clock_ahead.py
T11  tests/faults/test_t11_poison_results.py, tests/unit/transfer/test_collect.py, tests/unit/reconciliation/test_set_aside.py,
     tests/unit/transfer/test_collect_poison.py
T12  tests/faults/test_t12_moving_results.py, tests/unit/transfer/test_collect.py, tests/faults/test_sftp_faults.py
T13  tests/faults/test_t13_hostile_names.py, tests/unit/transfer/test_collect.py, tests/contract/test_remote_drop.py
T14  tests/faults/test_t14_host_keys.py, tests/faults/test_sftp_links.py, tests/faults/test_staged_host_keys.py
T15  tests/faults/test_canaries.py
T16  tests/faults/test_t16_contradicting_results.py, tests/unit/reconciliation/test_reconcile.py
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = {
    number: re.findall(r"tests/[\w/]+\.py", text)
    for number, text in re.findall(r"^T(\d+)\s+(.*?)(?=^T\d|\Z)", __doc__ or "", re.MULTILINE | re.DOTALL)
}


@pytest.mark.parametrize("number", range(1, 17))
def test_every_scenario_has_tests_that_exist(number: int) -> None:
    """T1 to T16: each is covered by modules that are there and hold tests."""
    named = SCENARIOS[str(number)]
    assert named
    for name in named:
        assert "def test_" in (ROOT / name).read_text(), name


def test_no_scenario_test_is_missing_in_the_map() -> None:
    """Whoever adds a test of a scenario also says so in the map."""
    for path in (ROOT / "tests" / "faults").glob("test_t[0-9][0-9]_*.py"):
        number = str(int(path.name[6:8]))
        assert f"tests/faults/{path.name}" in SCENARIOS[number]
        assert f"T{number}" in path.read_text().splitlines()[0]
