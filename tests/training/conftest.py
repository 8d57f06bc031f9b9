"""Accounts for the handlers of training and inference."""

import pytest
from moto import mock_aws

from tests.training.lambdas import ENVIRONMENT, Store
from training import aws, intake


@pytest.fixture
def store(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    aws.client.cache_clear()
    intake._rows_by_key.clear()
    with mock_aws():
        yield Store()
    aws.client.cache_clear()
