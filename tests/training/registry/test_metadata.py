"""What the package says fits what the API takes."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.registry import metadata

# The pattern of CustomerMetadataValue, with \p{L} and \p{N} as Python says them:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
_ALLOWED = re.compile(r"[\w .:/=+\-@]{1,256}")
DECISION = {
    "run_id": "r1", "version": "1.2.3", "decision": "promote", "approval": "Approved", "metric": "roc_auc",
    "challenger": 0.75621234567, "champion": None, "gain": 0.0286, "gain_low": 0.025, "significance": 1e-30,
    "holdout_uses": 1.25, "champion_run_id": "r0", "champion_url": "s3://b/k", "champion_version_id": "v",
    "files": 2, "data_version": "d", "data_version_uri": "s3://b/d", "manifest_uri": "s3://b/m",
    "manifest_sha256": "1" * 64, "artifact_sha256": "2" * 64, "artifact_version_id": "3",
    "passport_sha256": "4" * 64, "model_digest": "5" * 64, "decision_uri": "s3://b/d.json",
    "report_uri": "s3://b/d.html", "image": "1.dkr.ecr.us-east-1.amazonaws.com/x:1", "trigger": "data",
    "reason": "better (at least 0.002 needed)", "contract_version": "c",
    "rows": {"total": 100, "holdout": 20, "dropped": 3},
    "window": {"setting": "all", "from": "2013-01-01T00:00:00", "to": "2013-02-01T00:00:00"},
    "digests": {"contract": "c", "training": "6" * 64, "code": "7" * 64, "spec": "8" * 64},
}  # fmt: skip


def test_every_fact_of_the_decision_is_there_and_room_is_left_for_others():
    found = metadata.of(DECISION, "9" * 64)
    assert (
        found
        | {
            "version": "1.2.3",
            "challenger": "0.756212",
            "champion": "none",
            "significance": "1e-30",
            "reason": "better at least 0.002 needed",
            "rows": "100",
            "rows_compared": "20",
            "dropped": "3",
            "training_digest": "6" * 64,
            "decision_sha256": "9" * 64,
            "approver": "gate",
        }
        == found
    )
    assert len(found) <= metadata.MAX_KEYS - metadata.KEYS_LEFT_FOR_OTHERS


@pytest.mark.parametrize("approval", ["PendingManualApproval", "Rejected"])
def test_only_the_gate_that_approved_is_the_approver(approval):
    assert metadata.of(DECISION | {"approval": approval}, "9" * 64)["approver"] == "none"


def test_an_address_that_does_not_fit_is_left_out_and_not_cut():
    found = metadata.of(DECISION | {"champion_url": "s3://bucket/" + "x" * 300}, "9" * 64)
    assert "champion_url" not in found


@given(st.text(max_size=600))
def test_every_text_becomes_one_that_the_api_takes(text):
    assert _ALLOWED.fullmatch(metadata.value(text))


@given(st.floats())
def test_every_number_becomes_a_value(number):
    found = metadata.of(DECISION | {"gain": number}, "9" * 64)["gain"]
    assert (found == "none") == (not math.isfinite(number))
    assert _ALLOWED.fullmatch(found)
