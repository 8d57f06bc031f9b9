"""The demo as people run it: a process of its own, on a port of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from sandbox import lifecycle
from tests.conftest import free_port

pytestmark = pytest.mark.sandbox

DEMO_SECONDS = 240
STOP_SECONDS = 60


def start(port, *options):
    command = [sys.executable, "-m", "upkeep", "demo", "--port", str(port), "--months", "1", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UPKEEP_")}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def left_behind(port):
    """What there still is of a sandbox."""
    with socket.socket() as probe:
        listening = probe.connect_ex((lifecycle.HOST, port)) == 0
    return [str(lifecycle.run_dir(port))] * lifecycle.run_dir(port).exists() + ["a listener"] * listening


@pytest.mark.timeout(DEMO_SECONDS + 30)
def test_the_demo_goes_as_promised_and_leaves_nothing_behind():
    port = free_port()
    process = start(port, "--json")
    out, err = process.communicate(timeout=DEMO_SECONDS)
    assert process.returncode == 0, err
    told = json.loads(out)
    assert (told["ok"], told["problems"]) == (True, [])
    (january,) = told["months"]
    assert (january["outcome"], january["version_live"], january["champion_version"]) == ("released", 1, 0)
    assert january["challenger"] > january["champion"]
    assert told["scored"]["version"] == 1
    assert told["scored"]["score"]["auc"] > 0.5
    hours, renamed = told["broken"]
    assert "minutes to hours" in hours["reason"]
    assert renamed["diff"]["renamed"] == {"distance": "distance_miles"}
    assert hours["version_live"] == renamed["version_live"] == 1
    assert "below the minimum" in told["shuffled"]["reason"]
    assert told["shuffled"]["version_live"] == 1
    assert left_behind(port) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_leaves_nothing_behind(number):
    port = free_port()
    process = start(port, "--keep")
    deadline = time.monotonic() + STOP_SECONDS
    while lifecycle.find(port) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=STOP_SECONDS)
    assert process.returncode == 130, err
    assert "nothing was left behind" in out
    assert left_behind(port) == []


def test_a_port_in_use_is_a_clear_error():
    with socket.socket() as taken:
        taken.bind((lifecycle.HOST, 0))
        taken.listen()
        process = start(taken.getsockname()[1])
        out, err = process.communicate(timeout=STOP_SECONDS)
    assert process.returncode == 1
    assert "is taken by another program" in err
    assert "Traceback" not in out + err
