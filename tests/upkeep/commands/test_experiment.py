"""`upkeep experiment` against a stack in memory; the release machine is a few lines that do what it would."""

from __future__ import annotations

import json

import pytest

from tests.upkeep.experiments.examples import T0, capture
from tests.upkeep.fakes import START, FakeClient
from tests.upkeep.stand import package
from training.ledger.experiments import FAILED, RUNNING, STOPPED, ExperimentRecord

CONFIG = "upkeep-dev-flights-v2-x"
URL = "s3://upkeep-dev-artifacts-000000000000/training/flights/upkeep-dev-flights-{}/output/model.tar.gz"


class Machine:
    """Starts, reweighs and stops experiments at once, or fails as told."""

    def __init__(self, stand):
        self.stand, self.asked, self.refuses = stand, [], ""

    def __call__(self, stateMachineArn, name, input):  # noqa: A002, N803 - boto3's own spelling
        arn = f"{stateMachineArn.replace('stateMachine', 'execution')}:{name}"
        given = json.loads(input)
        self.asked.append(given)
        failed = (
            {"status": "FAILED", "error": "ExperimentFailed", "cause": self.refuses} if self.refuses else {}
        )
        self.stand.account.executions[name] = {
            "executionArn": arn,
            "name": name,
            "status": "SUCCEEDED",
            "startDate": START,
            "stopDate": START,
            "input": input,
            **failed,
        }
        self._do(given)
        return {"executionArn": arn, "startDate": START}

    def _do(self, given):
        ledger, one = self.stand.ledger, given["experiment_id"]
        record = ledger.experiment("flights", one)
        if self.refuses:
            ledger.end_experiment("flights", one, FAILED, reason=self.refuses)
        elif given["operation"] == "experiment_start":
            ledger.set_experiment_weight(record, given["weight"], T0)
            ledger.change_experiment("flights", one, state=RUNNING, started_at=T0, config=CONFIG)
            ledger._update("flights", "rollout", {"experiment": one, "config": CONFIG})
            self.stand.config = CONFIG
        elif given["operation"] == "experiment_weights":
            ledger.set_experiment_weight(record, given["weight"], T0 + 500)
        else:
            ledger.end_experiment("flights", one, STOPPED, at=T0 + 1000, reason=given["reason"])


@pytest.fixture
def flights(stand):
    """A stack whose version 1 serves; version 2 is approved, and version 3 is not."""
    stand.config = "c"
    account = stand.account
    account.packages = [package(n, URL.format(f"run{n}"), f"run{n}") for n in (3, 2, 1)]
    account.packages[0]["ModelApprovalStatus"] = "PendingManualApproval"
    account.url = URL.format("run1")
    stand.machine = Machine(stand)
    account.states.answers["start_execution"] = stand.machine
    described = account.sagemaker.answers["describe_endpoint"]
    account.sagemaker.answers["describe_endpoint"] = lambda **a: {
        **described(**a),
        "EndpointConfigName": stand.config,
    }
    account.sagemaker.answers["update_model_package"] = lambda **_a: {}
    stand.context._clients["cloudwatch"] = FakeClient(get_metric_data=lambda **_a: {"MetricDataResults": []})
    return stand


def started(flights, operate, *options):
    said = operate("experiment", "start", "2", "--weight", "0.5", *options)
    assert said.code == 0, said.err
    return flights.ledger.current_experiment("flights")


def outcomes(flights, treated, control, pairs=300, prefix="r"):
    """Captured requests with labels: probabilities of late flights that were late."""
    for variant, score in (("Challenger", treated), ("AllTraffic", control)):
        lines = [
            capture(f"{variant}{prefix}{n}", T0 + 10 + n % 50, f"{variant[0]}{prefix}{n}", [(score, 1)])
            for n in range(pairs)
        ]
        key = f"capture/flights/upkeep-dev-flights/{variant}/2027/01/15/08/{prefix}.jsonl"
        flights.put(key, "\n".join(lines) + "\n")
    labels = "".join(f"{variant}{prefix}{n},1\n" for n in range(pairs) for variant in "CA")
    flights.put(f"labels/flights/{prefix}.csv", "inference_id,label\n" + labels)


@pytest.fixture(autouse=True)
def _labels_are_from_later(monkeypatch):
    """moto writes objects now, which is before the time of the examples."""
    from upkeep.experiments import fetch

    listed = fetch.list_labels
    monkeypatch.setattr(fetch, "list_labels", lambda context, model, _since: listed(context, model, 0.0))


def test_a_version_is_started_with_its_share(flights, operate):
    said = operate("experiment", "start", "2", "--weight", "0.1", "--minimum-effect", "0.02")
    assert said.code == 0
    assert "answers 10.0% of the requests" in said.out
    (asked,) = flights.machine.asked
    assert (asked["operation"], asked["package_arn"], asked["weight"]) == (
        "experiment_start",
        "arn:pkg/2",
        0.1,
    )
    record = flights.ledger.current_experiment("flights")
    assert (record.id, record.loss, record.minimum_effect) == (asked["experiment_id"], "brier", 0.02)
    assert record.by.startswith("arn:")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["2", "--weight", "1.5"], "--weight: found 1.5, expected a share"),
        (["2", "--weight", "0"], "--weight: found 0, expected a share"),
        (["2", "--weight", "0.1", "--alpha", "0"], "--alpha: found 0"),
        (["2", "--weight", "0.1", "--loss", "absolute"], "expected brier or zero_one; flights is binary"),
        (["2", "--weight", "0.1", "--scale", "3"], "--scale is for the loss `absolute`"),
        (["2", "--weight", "0.1", "--minimum-effect", "1"], "--minimum-effect: found 1"),
        (["1", "--weight", "0.1"], "serves already"),
        (["seed", "--weight", "0.1"], "cannot be tried"),
        (["3", "--weight", "0.1"], "is not approved. `upkeep experiment start 3 --approve`"),
        (["9", "--weight", "0.1"], "has no version '9'"),
    ],
)
def test_what_cannot_be_tried_is_refused_and_nothing_begins(flights, operate, argv, words):
    said = operate("experiment", "start", *argv)
    assert said.code == 1
    assert words in said.err
    assert flights.machine.asked == []
    assert flights.ledger.experiments("flights") == []


def test_a_version_can_be_approved_for_the_experiment_only(flights, operate):
    assert (
        operate("experiment", "start", "3", "--weight", "0.1", "--approve", "--comment", "try it").code == 0
    )
    (asked,) = flights.account.sagemaker.asked("update_model_package")
    assert (asked["ModelPackageArn"], asked["ModelApprovalStatus"]) == ("arn:pkg/3", "Approved")
    facts = asked["CustomerMetadataProperties"]
    # In the same call, or the event of the approval would release it.
    assert (facts["release"], facts["approval_comment"]) == ("experiment", "try it")


def test_a_model_has_one_experiment_at_a_time(flights, operate):
    record = started(flights, operate)
    said = operate("experiment", "start", "2", "--weight", "0.1")
    assert said.code == 1
    assert f"has an experiment already: {record.id}" in said.err


def test_a_busy_endpoint_is_named(flights, operate):
    claimed = {"owner": "arn:execution:somebody", "operation": "release", "config": "c"}
    flights.ledger._update("flights", "rollout", {**claimed, "package_arn": "arn:pkg/1"})
    said = operate("experiment", "start", "2", "--weight", "0.1")
    assert said.code == 1
    assert "is busy: a release is under way" in said.err


def test_a_start_that_fails_says_why(flights, operate):
    flights.machine.refuses = "the check took too long"
    said = operate("experiment", "start", "2", "--weight", "0.1")
    assert said.code == 1
    assert "is failed: the check took too long" in said.out
    assert flights.ledger.current_experiment("flights") is None


def test_an_experiment_that_does_not_start_at_all_is_over(flights, operate):
    def broken(**_arguments):
        raise ConnectionError("no network")

    flights.account.states.answers["start_execution"] = broken
    assert operate("experiment", "start", "2", "--weight", "0.1").code == 1
    assert flights.ledger.current_experiment("flights") is None


def test_without_an_experiment_every_command_says_how_to_begin_one(flights, operate):
    for argv in (["status"], ["stop"], ["weight", "0.2"]):
        said = operate("experiment", *argv)
        assert said.code == 1
        assert "`upkeep experiment start VERSION` begins one" in said.err
    assert "There was no experiment" in operate("experiment", "list").out


def test_the_status_shows_both_versions_and_what_is_known(flights, operate, tmp_path):
    started(flights, operate)
    outcomes(flights, treated=0.9, control=0.2)
    page = tmp_path / "page.html"
    said = operate("experiment", "status", "--report", page)
    assert said.code == 0
    assert "is better." in said.out
    assert "--promote" in said.out
    assert page.read_text().count("<svg") == 1
    found = operate("experiment", "status", "--json").data
    assert found["outcomes"] == 600
    assert found["variants"]["Challenger"]["mean_loss"] == pytest.approx(0.01)


def test_harm_is_an_exit_code_and_can_end_the_experiment(flights, operate):
    record = started(flights, operate)
    outcomes(flights, treated=0.1, control=0.9)
    assert operate("experiment", "status").code == 3
    said = operate("experiment", "status", "--watch", "--stop-if-worse")
    assert said.code == 3
    assert flights.machine.asked[-1]["operation"] == "experiment_stop"
    ended = flights.ledger.experiment("flights", record.id)
    assert (ended.state, ended.verdict, ended.summary["outcomes"]) == (STOPPED, "worse", 600)


def test_stopping_needs_no_figures(flights, operate):
    record = started(flights, operate)
    flights.put("labels/flights/odd.csv", "what,ever\n1,2\n")
    said = operate("experiment", "stop", "--reason", "enough")
    assert said.code == 0
    assert flights.ledger.experiment("flights", record.id).reason == "enough"


def test_an_uncertain_version_is_promoted_only_by_somebody_who_means_it(flights, operate):
    started(flights, operate)
    said = operate("experiment", "stop", "--promote")
    assert said.code == 1
    assert "Release it all the same?" in said.err
    assert operate("experiment", "stop", "--promote", "--yes").code == 0
    assert flights.machine.asked[-1]["promote"] is True


def test_the_share_can_be_changed(flights, operate):
    record = started(flights, operate)
    assert operate("experiment", "weight", "0.8").code == 0
    assert flights.ledger.experiment("flights", record.id).weight == 0.8
    assert operate("experiment", "weight", "2").code == 1


def test_an_experiment_that_a_rollback_has_ended_is_over(flights, operate):
    record = started(flights, operate)
    flights.config = "c"
    flights.ledger._update("flights", "rollout", {"experiment": "", "config": "c"})
    assert "stopped: a rollback took the endpoint back" in operate("experiment", "status").out
    assert flights.ledger.current_experiment("flights") is None
    assert flights.ledger.experiment("flights", record.id).state == STOPPED


def test_ended_experiments_are_listed_and_can_be_looked_at(flights, operate):
    record = started(flights, operate)
    operate("experiment", "stop")
    assert record.id in operate("experiment", "list").out
    assert operate("experiment", "list", "--json").data[0]["id"] == record.id
    assert operate("experiment", "status", "--id", record.id).code == 0
    assert "has no experiment 'xyz'" in operate("experiment", "status", "--id", "xyz").err


def test_label_files_are_looked_at_before_they_are_uploaded(flights, operate, tmp_path):
    good, bad = tmp_path / "my labels.csv", tmp_path / "bad.csv"
    good.write_text("inference_id,label\na,1\nb,perhaps\n")
    bad.write_text("id,truth\na,1\n")
    said = operate("experiment", "labels", good)
    assert said.code == 0
    assert "1 labels" in said.out
    assert "my labels.csv, line 3: label: found 'perhaps'" in said.out
    (key,) = flights.keys("labels/")
    assert key.endswith("-my-labels.csv")
    refused = operate("experiment", "labels", bad)
    assert refused.code == 1
    assert "Nothing was uploaded" in refused.err


def test_records_from_other_versions_of_upkeep_are_read(flights):
    record = ExperimentRecord(model="flights", id="x1")
    assert ExperimentRecord.from_item({**record.to_item(), "later": {"S": "x"}}) == record
