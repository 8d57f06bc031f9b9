"""A second version beside the serving one: requests are shared by weight, captured apart, and told apart."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.loop.conftest import Operator, eventually

pytestmark = pytest.mark.sandbox
Month = Callable[[int], Path]
REQUESTS, SHARE = 300, 0.3


@pytest.fixture(scope="module")
def another(operator: Operator, month: Month) -> dict[str, Any]:
    """A version that served before and may serve again."""
    for number in (1, 2):
        if found := _others(operator):
            return found[0]
        operator.upkeep("push", month(number), "--wait", expect=None)
    found = _others(operator)
    assert found, "two months are better than the seed, so one of two versions must have been replaced"
    return found[0]


def _others(operator: Operator) -> list[dict[str, Any]]:
    return [one for one in operator.json("models") if one["state"] == "superseded" and one["number"]]


def _ask(operator: Operator, rows: list[dict[str, str]]) -> tuple[Counter[str], list[tuple[str, str]]]:
    """Who answered how many requests, and the true labels by the requests' ids."""
    runtime = operator.client("sagemaker-runtime")
    answered: Counter[str] = Counter()
    for number, row in enumerate(rows):
        given = {k: v or None for k, v in row.items() if k not in ("late", "departure")}
        lines = ",".join("" if value is None else value for value in given.values())
        answer = runtime.invoke_endpoint(
            EndpointName=operator.flights["endpoint"],
            Body=lines.encode(),
            ContentType="text/csv",
            Accept="application/json",
            InferenceId=f"flight-{number}",
        )
        answered[answer["InvokedProductionVariant"]] += 1
    return answered, [(f"flight-{number}", row["late"]) for number, row in enumerate(rows)]


def _captured(operator: Operator) -> dict[str, set[str]]:
    """Ids of captured requests by the variant in whose folder they lie."""
    s3, bucket = operator.client("s3"), operator.outputs["data_bucket"]
    found: dict[str, set[str]] = {"AllTraffic": set(), "Challenger": set()}
    for variant, ids in found.items():
        prefix = f"capture/flights/{operator.flights['endpoint']}/{variant}/"
        for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            metadata = [json.loads(line)["eventMetadata"] for line in body.splitlines()]
            ids |= {one["inferenceId"] for one in metadata if "inferenceId" in one}
    return found


def test_an_experiment_from_its_start_to_its_end(
    operator: Operator, month: Month, another: dict[str, Any], tmp_path: Path
):
    before = operator.json("models")
    started = operator.json("experiment", "start", str(another["number"]), "--weight", str(SHARE))
    assert (started["state"], started["treatment_version"]) == ("running", another["version"])

    # Captures tell whole seconds: those of the second in which it began may be older than the experiment.
    time.sleep(2)
    with month(3).open() as file:
        rows = list(csv.DictReader(file))[: REQUESTS * 20 : 20]
    order = [name for name in rows[0] if name not in ("late", "departure")]
    assert order == list(_features(operator)), (
        "the columns of the file are in the order of the model's features"
    )
    answered, labels = _ask(operator, rows)
    assert sum(answered.values()) == REQUESTS
    # 90 with a deviation of 8: five of them on either side happen once in two million times.
    assert 50 <= answered["Challenger"] <= 130
    eventually(lambda: sum(map(len, _captured(operator).values())) >= REQUESTS, "all requests are captured")
    captured = _captured(operator)
    assert {variant: len(ids) for variant, ids in captured.items()} == dict(answered)
    assert not captured["AllTraffic"] & captured["Challenger"]

    path = tmp_path / "labels.csv"
    path.write_text("inference_id,label\n" + "".join(f"{one},{late}\n" for one, late in labels))
    operator.upkeep("experiment", "labels", path)
    seen = operator.json("experiment", "status", "--report", tmp_path / "page.html", expect=None)
    assert (seen["outcomes"], seen["labels"]["unknown"]) == (REQUESTS, 0)
    assert seen["variants"]["Challenger"]["outcomes"] == answered["Challenger"]
    assert seen["interval"][0] < seen["difference"] < seen["interval"][1]
    assert "<svg" in (tmp_path / "page.html").read_text()

    ended = operator.json("experiment", "stop")
    assert (ended["state"], ended["figures"]["outcomes"]) == ("stopped", REQUESTS)
    after = operator.json("models")
    assert [one["number"] for one in after if one["live"]] == [one["number"] for one in before if one["live"]]
    variants = operator.client("sagemaker").describe_endpoint(EndpointName=operator.flights["endpoint"])
    assert [one["VariantName"] for one in variants["ProductionVariants"]] == ["AllTraffic"]


def _features(operator: Operator) -> dict[str, Any]:
    body = operator.client("s3").get_object(
        Bucket=operator.outputs["artifacts_bucket"], Key="specs/flights.json"
    )["Body"]
    found: dict[str, Any] = json.loads(body.read())["features"]
    return found
