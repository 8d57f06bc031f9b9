"""Accounts for the handlers of training and inference, and what tests need on a busy machine."""

import os

# Threads of OpenMP that wait for each other on a busy machine make a test of 0.1 s one of 9 s.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings
from moto import mock_aws

from tests.training.lambdas import ENVIRONMENT, LEDGER, Clock, OneAtATime, Store
from training import clock as clocks
from training.aws import client
from training.ledger.table import Ledger

# How long an example takes says more about the machine's other work than about the code. Everybody gets the
# same examples, as in tests/faults; with UPKEEP_FAULT_EXAMPLES they are others each time.
settings.register_profile(
    "busy",
    deadline=None,
    derandomize="UPKEEP_FAULT_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("busy")


@pytest.fixture
def store(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        made = Store()
        with OneAtATime():
            yield made


@pytest.fixture
def clock(monkeypatch):
    """The time the code under test sees; it stands still until the test moves ``clock.at``."""
    clock = Clock()
    monkeypatch.setattr(clocks, "now", clock)
    monkeypatch.setattr(clocks, "sleep", clock.sleep)
    return clock


@pytest.fixture
def ledger(store, clock):
    """The stack's ledger on moto."""
    return Ledger(client("dynamodb"), LEDGER)
