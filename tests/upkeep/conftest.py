"""The stack on moto, for operators' modules and commands."""

from __future__ import annotations

import moto
import pytest

from tests.training.lambdas import ENVIRONMENT, Clock
from tests.upkeep.shelf import Shelf
from tests.upkeep.stand import Stand
from training import clock as clocks
from upkeep import dead_letters


@pytest.fixture
def clock(monkeypatch):
    """The time the ledger sees; it stands still until a test moves `clock.at`."""
    clock = Clock(1_700_000_000.0)
    monkeypatch.setattr(clocks, "now", clock)
    monkeypatch.setattr(clocks, "sleep", clock.sleep)
    return clock


@pytest.fixture
def stand(monkeypatch, clock):
    """A deployed stack with one model, `flights`, on moto."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    # An empty queue is known to be empty here; on AWS only a long poll asks every server.
    monkeypatch.setattr(dead_letters, "WAIT_SECONDS", 0)
    with moto.mock_aws():
        yield Stand(clock)


@pytest.fixture
def shelf(stand):
    """A registry to put versions on, and a release machine to script."""
    return Shelf(stand)
