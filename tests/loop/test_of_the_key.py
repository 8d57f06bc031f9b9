"""The key of the stack is switched off in the middle of a training, and on again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.load import seed_file
from tests.loop.conftest import STACK, Operator, alarms_ringing, eventually
from training.ledger.records import FAILED, SUCCEEDED

pytestmark = pytest.mark.sandbox


@pytest.fixture
def key(operator: Operator) -> Iterator[str]:
    """The ARN of the stack's key; switched on again afterwards, whatever happens."""
    kms = operator.client("kms")
    arn: str = kms.describe_key(KeyId=f"alias/upkeep-{STACK}")["KeyMetadata"]["Arn"]
    yield arn
    kms.enable_key(KeyId=arn)


def _answer(operator: Operator) -> float:
    """What the endpoint says to the first row of the seed."""
    header, row = seed_file("flights").read_text(encoding="utf-8").splitlines()[:2]
    runtime = operator.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(
        EndpointName=operator.flights["endpoint"],
        Body=f"{header}\n{row}\n".encode(),
        ContentType="text/csv",
        Accept="application/json",
    )
    found: float = json.load(answer["Body"])["predictions"][0]
    return found


def _training(operator: Operator, run_id: str) -> Any:
    name = f"{operator.flights['endpoint']}-{run_id}"
    sagemaker = operator.client("sagemaker")
    known = sagemaker.list_training_jobs(NameContains=name)["TrainingJobSummaries"]
    return sagemaker.describe_training_job(TrainingJobName=name) if known else None


def test_without_its_key_the_stack_serves_on_and_says_why_it_trains_nothing_and_then_catches_up(
    operator: Operator, month: Callable[[int], Path], key: str, tmp_path: Path
):
    before, was = operator.runs(), _answer(operator)
    header, *rows = month(11).read_text(encoding="utf-8").splitlines()
    for name in ("first", "second"):
        part = [rows.pop() for _ in range(500)]
        (tmp_path / f"{name}.csv").write_text("\n".join([header, *part]) + "\n", encoding="utf-8")
    operator.upkeep("push", tmp_path / "first.csv")

    def started() -> Any:
        new = [id_ for id_ in operator.runs() if id_ not in before]
        job = _training(operator, new[0]) if new else None
        return (new[0], job) if job and job["SecondaryStatus"] == "Training" else None

    run_id, _ = eventually(started, "the training runs", pause_seconds=0.05)
    operator.client("kms").disable_key(KeyId=key)

    assert _answer(operator) == was, "the endpoint has its model in memory"
    pushed = operator.upkeep("push", tmp_path / "second.csv", expect=1)
    assert f"{key} is disabled" in pushed.stderr.replace("\n", " ")
    assert "aws kms enable-key" in pushed.stderr
    job = eventually(
        lambda: (found := _training(operator, run_id))["TrainingJobStatus"] == "Failed" and found,
        "the training fails: it cannot store its model",
    )
    assert f"KMS.DisabledException: {key} is disabled." in job["FailureReason"]
    eventually(
        lambda: any(name.endswith("retrain-failed") for name in alarms_ringing(operator)), "an alarm rings"
    )
    assert _answer(operator) == was

    operator.client("kms").enable_key(KeyId=key)
    operator.upkeep("push", tmp_path / "second.csv")
    operator.wait_until_idle()
    new = {id_: run for id_, run in operator.runs().items() if id_ not in before}
    assert new[run_id].state == FAILED
    assert key in new[run_id].reason
    last = list(new.values())[-1]
    assert last.state == SUCCEEDED
    arrived = {source.rpartition("/")[2] for source in operator.sources(last)}
    assert {"first.csv", "second.csv"} <= arrived, "nothing that was pushed is lost"
    assert operator.incoming() == []
