"""A result is read as it was written, and nothing else is taken for one."""

from __future__ import annotations

import json

import pytest

from inference.preflight import places, result
from inference.preflight.measure import Latency
from inference.preflight.outcome import Outcome
from inference.preflight.result import ResultError
from inference.preflight.settings import Settings, Side
from tests.inference.preflight.fakes import OWNER, FakeS3

SETTINGS = Settings(
    model="toy",
    run_id="r1",
    job_name="job-1",
    endpoint="e",
    source="recorded",
    features=(),
    max_latency_milliseconds=250,
    start_seconds=1,
    check_seconds=2,
    challenger=Side(name="1.1.0", environment={}),
    champion=None,
    requests=(),
)
KEY = "checks/toy/r1/job-1/check.json"


def read(s3: FakeS3) -> result.CheckResult | None:
    return result.read(s3, bucket="artifacts", model="toy", run_id="r1", job_name="job-1", owner=OWNER)


def test_what_the_job_writes_is_what_the_release_reads() -> None:
    outcome = Outcome(
        passed=True,
        reason="fine",
        started_seconds=1.23456,
        requests=10,
        errors=0,
        latency=Latency(100, 1.5, 4.25),
        shadow={"compared": 3},
    )
    s3 = FakeS3()
    s3.put("artifacts", KEY, json.dumps(outcome.to_dict(SETTINGS)))
    assert read(s3) == result.CheckResult(
        passed=True,
        reason="fine",
        started_seconds=1.235,
        requests=10,
        errors=0,
        p50_milliseconds=1.5,
        p99_milliseconds=4.25,
        shadow={"compared": 3},
        uri=f"s3://artifacts/{KEY}",
        report_uri="s3://artifacts/checks/toy/r1/job-1/check.html",
    )


def test_a_job_that_has_written_nothing_has_no_result() -> None:
    assert read(FakeS3()) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        json.dumps(Outcome().to_dict(SETTINGS) | {"run_id": "other"}),
        json.dumps(Outcome().to_dict(SETTINGS) | {"schema": places.SCHEMA + 1}),
    ],
)
def test_anything_else_is_an_error_that_names_the_object(content: str) -> None:
    s3 = FakeS3()
    s3.put("artifacts", KEY, content)
    with pytest.raises(ResultError, match=KEY):
        read(s3)


def test_only_true_passes() -> None:
    document = Outcome(reason="r").to_dict(SETTINGS) | {"passed": "yes"}
    assert not result.parse(json.dumps(document).encode(), "s3://b/k/", "r1").passed
