"""Accounts for the handlers of training and inference."""

import os

# Threads of OpenMP that wait for each other on a busy machine make a test of 0.1 s one of 9 s.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from moto import mock_aws

from tests.training.lambdas import ENVIRONMENT, Store
from training import intake


@pytest.fixture
def store(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    intake._rows_by_key.clear()
    with mock_aws():
        yield Store()
