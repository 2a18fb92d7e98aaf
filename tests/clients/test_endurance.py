"""The service under what weeks bring, in small: the programs in ``benchmarks`` with few requests and few kills."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.clients.conftest import BENCHMARKS

pytestmark = pytest.mark.engines


def run(program: str, *words: str) -> str:
    """What it printed; it ends with 0 where all that it holds was held."""
    command = [sys.executable, str(BENCHMARKS / program), *words]
    told = subprocess.run(command, check=False, capture_output=True, text=True, timeout=280)
    assert told.returncode == 0, told.stderr[-6000:]
    return told.stdout


def test_requests_that_are_wrong_in_some_way_break_nothing_and_leave_nothing() -> None:
    told = run("mutations.py", "--requests", "400", "--seed", "7")
    assert told.startswith("400 requests")
    assert "| 400 |" in told


def test_every_request_ends_in_an_answer_or_a_clear_error_while_workers_are_killed() -> None:
    told = run("weeks.py", "--requests", "600", "--clients", "8")
    assert "No process was left behind." in told
    assert "answered" in told


def test_a_service_that_is_killed_starts_again_and_leaves_nothing() -> None:
    assert "no process left, every file whole" in run("kill_service.py", "--kills", "4")
