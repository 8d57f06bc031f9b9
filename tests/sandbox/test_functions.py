"""Functions leave room for the services they talk to."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from sandbox.seam import functions


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What MiniStack has of it, after ours was put over it."""
    found = SimpleNamespace(
        _sqs_esm_concurrency=lambda mapping, *_: mapping["MaximumConcurrency"],
        _detect_runtime_binary=lambda name: (name, "print('script')"),
    )
    monkeypatch.setattr(functions, "ministack", lambda _: found)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    functions.share_processors()
    return found


def test_a_queue_leads_to_no_more_calls_at_a_time_than_there_are_processors(shared: SimpleNamespace):
    assert shared._sqs_esm_concurrency({"MaximumConcurrency": 10}, None, None) == 3
    assert shared._sqs_esm_concurrency({"MaximumConcurrency": 2}, None, None) == 2


def test_one_processor_still_serves_two_calls_as_the_least_that_lambda_takes(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert functions.most_at_once() == 2


def test_a_function_steps_back_behind_everything_else(shared: SimpleNamespace):
    _, script = shared._detect_runtime_binary("python3.12")
    ask = "print(os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, 'getpriority') else 'none')"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\n{ask}"], capture_output=True, text=True, timeout=60, check=True
    )
    expected = os.getpriority(os.PRIO_PROCESS, 0) + functions.NICE
    assert done.stdout.split() == ["script", str(min(expected, 19))]


def test_functions_of_other_languages_are_left_as_they_are(shared: SimpleNamespace):
    assert shared._detect_runtime_binary("nodejs22.x") == ("nodejs22.x", "print('script')")
