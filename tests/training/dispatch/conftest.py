"""A stack with one model, and calls that fail when a test wants it."""

import pytest

from tests.training.dispatch.world import Calls, World


@pytest.fixture
def world(store, ledger, clock):
    return World(store, ledger, clock)


@pytest.fixture
def calls(monkeypatch):
    return Calls(monkeypatch)
