"""Experiments carried out by the release function, in the account in memory."""

from datetime import UTC, datetime

import pytest

from inference.release import experiments
from inference.release.observe import LAST_CALL_SECONDS
from tests.inference.release.fakes import BASE, EXECUTION, OTHER, SEED_CONFIG, SageMaker, refusal
from tests.inference.release.test_handler import world  # noqa: F401 - a fixture
from tests.training.conftest import clock, ledger, store  # noqa: F401 - fixtures
from training.ledger.experiments import FAILED, PROMOTED, RUNNING, STOPPED, ExperimentRecord

ID = "x0000001"


class Variants(SageMaker):
    """An endpoint that tells of its variants and their weights."""

    def update_endpoint(self, **asked):
        answer = super().update_endpoint(**asked)
        self.endpoint.pop("weights", None)
        return answer

    def describe_endpoint(self, **asked):
        found = super().describe_endpoint(**asked)
        config = self.configs.get(found["EndpointConfigName"], {"ProductionVariants": []})
        weights = self.endpoint.get("weights") or {
            one.get("VariantName", "AllTraffic"): one.get("InitialVariantWeight", 1.0)
            for one in config["ProductionVariants"]
        }
        variants = [{"VariantName": name, "CurrentWeight": weight} for name, weight in weights.items()]
        return {**found, "ProductionVariants": variants}

    def update_endpoint_weights_and_capacities(self, **asked):
        self._may("UpdateEndpointWeightsAndCapacities")
        self.calls.append(("update_endpoint_weights_and_capacities", asked))
        self.endpoint["weights"] = {
            one["VariantName"]: one["DesiredWeight"] for one in asked["DesiredWeightsAndCapacities"]
        }
        self._touch()
        return {}


@pytest.fixture
def lab(world):  # noqa: F811
    """The seed serves; version 1 is registered, approved and not released."""
    world.sagemaker.__class__ = Variants
    world.sagemaker.configs[SEED_CONFIG]["ProductionVariants"] = [
        {
            "VariantName": "AllTraffic",
            "ModelName": SEED_CONFIG,
            "InitialInstanceCount": 2,
            "InstanceType": "ml.m5.large",
            "InitialVariantWeight": 1.0,
        }
    ]
    world.arn = world.register(1)
    record = ExperimentRecord(
        model="toy",
        id=ID,
        treatment_package=world.arn,
        treatment_version="1",
        wanted_weight=0.25,
        created_at=1.0,
    )
    assert world.ledger.begin_experiment(record)
    return world


def start(lab, **options):
    request = {"operation": "experiment_start", "model": "toy", "package_arn": lab.arn, "weight": 0.25}
    return lab.run({**request, "experiment_id": ID, "by": "me"}, **options)


def stop(lab, **options):
    return lab.run({"operation": "experiment_stop", "experiment_id": ID, **options}, execution=OTHER)


def experiment(lab):
    return lab.ledger.experiment("toy", ID)


def mark(lab):
    return lab.sagemaker.packages[lab.arn]["CustomerMetadataProperties"].get("release")


def test_both_versions_serve_with_their_shares(lab):
    assert start(lab)["do"] == "done"
    config = lab.sagemaker.configs[f"{BASE}-v1-{ID}"]
    control, treatment = config["ProductionVariants"]
    assert (control["VariantName"], control["ModelName"], control["InitialInstanceCount"]) == (
        "AllTraffic",
        SEED_CONFIG,
        2,
    )
    assert (treatment["VariantName"], treatment["InitialInstanceCount"]) == ("Challenger", 1)
    assert (control["InitialVariantWeight"], treatment["InitialVariantWeight"]) == (0.75, 0.25)
    record, rollout = experiment(lab), lab.ledger.rollout("toy")
    assert (record.state, record.config, record.control_config) == (RUNNING, f"{BASE}-v1-{ID}", SEED_CONFIG)
    assert [span["weight"] for span in record.weights] == [0.25]
    assert (rollout.owner, rollout.experiment, rollout.previous_config) == ("", ID, SEED_CONFIG)
    assert rollout.serving_package == ""
    assert mark(lab) == "experiment"


def test_the_update_has_no_alarms_because_its_variants_have_other_names(lab):
    start(lab)
    (asked,) = lab.sagemaker.called("update_endpoint")
    assert "DeploymentConfig" not in asked


def test_the_event_of_the_approval_releases_nothing_while_it_is_tried(lab):
    start(lab)
    answer = lab.run({"detail": {"ModelPackageArn": lab.arn}}, execution=OTHER)
    assert (answer["do"], answer["outcome"]) == ("done", "nothing")


def test_another_share_is_set_and_noted(lab):
    start(lab)
    lab.clock.at += 100
    answer = lab.run({"operation": "experiment_weights", "experiment_id": ID, "weight": 0.5}, execution=OTHER)
    assert answer["do"] == "done"
    (asked,) = lab.sagemaker.called("update_endpoint_weights_and_capacities")
    assert {one["VariantName"]: one["DesiredWeight"] for one in asked["DesiredWeightsAndCapacities"]} == {
        "AllTraffic": 0.5,
        "Challenger": 0.5,
    }
    first, second = experiment(lab).weights
    assert (first["weight"], second["weight"]) == (0.25, 0.5)
    assert first["since"] < first["until"] <= second["since"]


def test_a_share_that_sagemaker_refuses_leaves_the_one_before_in_force(lab):
    start(lab)
    lab.sagemaker.failing["UpdateEndpointWeightsAndCapacities"] = [refusal("U", "no")]
    answer = lab.run({"operation": "experiment_weights", "experiment_id": ID, "weight": 0.5}, execution=OTHER)
    assert (answer["do"], "no" in answer["reason"]) == ("failed", True)
    record = experiment(lab)
    assert (record.state, record.open_weight) == (RUNNING, 0.25)
    assert lab.ledger.rollout("toy").experiment == ID


def test_a_stopped_experiment_leaves_the_control_alone(lab):
    start(lab)
    assert stop(lab, reason="enough")["do"] == "done"
    record, rollout = experiment(lab), lab.ledger.rollout("toy")
    assert (record.state, record.reason) == (STOPPED, "enough")
    assert all("until" in span for span in record.weights)
    assert lab.sagemaker.endpoint["EndpointConfigName"] == SEED_CONFIG
    assert (rollout.experiment, rollout.config, rollout.owner) == ("", SEED_CONFIG, "")
    assert lab.ledger.current_experiment("toy") is None


def test_a_promoted_version_is_released_in_the_same_execution(lab):
    start(lab)
    answer = stop(lab, promote=True)
    assert (answer["do"], answer["outcome"]) == ("done", "live")
    assert answer["request"]["operation"] == "release"
    assert (experiment(lab).state, mark(lab)) == (PROMOTED, "live")
    last = lab.sagemaker.called("update_endpoint")[-1]
    assert "DeploymentConfig" in last
    assert lab.ledger.rollout("toy").serving_package == lab.arn


def test_a_treatment_that_does_not_come_up_is_taken_back_and_rejected(lab):
    lab.sagemaker.finishes = False
    assert start(lab)["do"] == "failed"
    record = experiment(lab)
    assert record.state == FAILED
    assert "old configuration" in record.reason
    assert lab.sagemaker.packages[lab.arn]["ModelApprovalStatus"] == "Rejected"
    assert lab.ledger.rollout("toy").experiment == ""


def test_a_version_that_is_not_approved_does_not_serve(lab):
    lab.sagemaker.packages[lab.arn]["ModelApprovalStatus"] = "PendingManualApproval"
    answer = start(lab)
    assert (answer["do"], "PendingManualApproval" in answer["reason"]) == ("failed", True)
    assert lab.sagemaker.called("update_endpoint") == []
    assert experiment(lab).state == FAILED


def test_a_rollback_ends_an_experiment(lab):
    start(lab)
    answer = lab.run({"operation": "rollback", "to": "previous"}, execution=OTHER)
    assert answer["do"] == "done"
    assert lab.sagemaker.endpoint["EndpointConfigName"] == SEED_CONFIG
    assert lab.ledger.rollout("toy").experiment == ""
    # What is left in the ledger is ended by the next stop.
    assert stop(lab)["do"] == "done"
    assert experiment(lab).state == STOPPED


def test_a_start_that_was_left_behind_is_taken_back_by_a_rollback(lab):
    request = {"operation": "experiment_start", "package_arn": lab.arn, "weight": 0.25, "experiment_id": ID}
    lab.sagemaker.looks = 100
    assert lab.call(request)["do"] == "wait"
    assert lab.ledger.rollout("toy").owner == EXECUTION
    lab.states.ended[EXECUTION] = datetime.fromtimestamp(lab.clock.at, UTC)
    lab.clock.at += LAST_CALL_SECONDS + 1
    lab.sagemaker.looks = lab.sagemaker.left = 0
    lab.run({"operation": "rollback", "to": "previous"}, execution=OTHER)
    assert lab.sagemaker.endpoint["EndpointConfigName"] == SEED_CONFIG
    assert experiment(lab).state == FAILED
    assert "ended without a word" in experiment(lab).reason
    rollout = lab.ledger.rollout("toy")
    assert (rollout.owner, rollout.experiment) == ("", "")


def test_a_stop_that_was_left_behind_is_finished_by_the_next(lab):
    start(lab)
    lab.sagemaker.looks = 100
    request = {"operation": "experiment_stop", "experiment_id": ID}
    assert lab.call(request, execution=EXECUTION + "-2")["do"] == "wait"
    lab.states.ended[EXECUTION + "-2"] = datetime.fromtimestamp(lab.clock.at, UTC)
    lab.clock.at += LAST_CALL_SECONDS + 1
    lab.sagemaker.looks = lab.sagemaker.left = 0
    assert stop(lab)["do"] == "done"
    assert (experiment(lab).state, lab.ledger.rollout("toy").owner) == (STOPPED, "")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"operation": "experiment_start", "package_arn": "a", "weight": 0.1}, "experiment_id is missing"),
        (
            {"operation": "experiment_start", "package_arn": "a", "weight": 2, "experiment_id": ID},
            "found weight 2",
        ),
        ({"operation": "experiment_jump", "weight": 0.1, "experiment_id": ID}, "found experiment_jump"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(request_, words):
    with pytest.raises(ValueError, match=words):
        experiments.read_operation(request_)


@pytest.mark.parametrize(
    "request_",
    [
        {"operation": "experiment_start", "package_arn": "a", "weight": 0.1, "by": "me"},
        {"operation": "experiment_weights", "weight": 0.1, "by": "me"},
        {"operation": "experiment_stop", "promote": True, "reason": "better", "by": "me"},
    ],
)
def test_a_request_survives_from_one_step_to_the_next(request_):
    given = {**request_, "model": "toy", "experiment_id": ID}
    assert experiments.write_operation(experiments.read_operation(given), "toy") == given
