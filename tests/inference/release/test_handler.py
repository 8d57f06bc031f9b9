"""The release function in an account in memory: S3 and the ledger are moto's, the rest are fakes."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from botocore.exceptions import EndpointConnectionError

from inference.release import handler as module
from inference.release.observe import LAST_CALL_SECONDS
from inference.release.tools import TransientError
from infra.release_states import ANSWER
from tests.inference.release import fakes
from tests.inference.release.fakes import (
    EXECUTION,
    OTHER,
    PLAN,
    SEED_CONFIG,
    STOP,
    Alarms,
    Executions,
    SageMaker,
)
from tests.training.conftest import clock, ledger  # noqa: F401 - fixtures
from tests.training.lambdas import ARTIFACTS, CONTEXT, emitted
from training import aws

SEED_URL = f"s3://{ARTIFACTS}/training/toy/seed/output/model.tar.gz"


class World:
    """The account, and the state machine around the function."""

    def __init__(self, store, records, time):
        self.store, self.ledger, self.clock = store, records, time
        self.sagemaker, self.alarms, self.states = SageMaker(time), Alarms(), Executions()
        store.put("training/toy/seed/output/model.tar.gz", b"seed", ARTIFACTS)
        self.sagemaker.serve(SEED_CONFIG, SEED_URL)
        self.plan = PLAN

    def client(self, service):
        ours = {
            "sagemaker": self.sagemaker,
            "sagemaker-runtime": self.sagemaker,
            "cloudwatch": self.alarms,
            "stepfunctions": self.states,
        }
        return ours[service] if service in ours else aws.client(service)

    def register(self, number, **changes):
        arn = fakes.register(self.store, self.sagemaker, number, **changes)
        self.sagemaker.answers = {**fakes.SAMPLE, "run_id": f"run{number}"}
        return arn

    def call(self, request, execution=EXECUTION, count=0):
        event = {"execution": execution, "request": request, "count": count, "plan": self.plan.to_dict()}
        return module.handler(json.loads(json.dumps(event)), CONTEXT)

    def run(self, request, execution=EXECUTION, most=40):
        """As the machine does, to the end."""
        count = 0
        for _ in range(most):
            found = self.call(request, execution, count)
            if found["do"] in ("done", "failed"):
                return found
            assert found["do"] in ("again", "wait", "tell"), found
            request, count = found["request"], found["count"]
            self.clock.at += found["seconds"]
        raise AssertionError(f"no end; the last: {found}")

    def release(self, arn, execution=EXECUTION):
        return self.run({"detail": {"ModelPackageArn": arn, "ModelApprovalStatus": "Approved"}}, execution)

    def facts(self, arn):
        return self.sagemaker.packages[arn]["CustomerMetadataProperties"]

    @property
    def serving(self):
        return self.sagemaker.endpoint["EndpointConfigName"]


@pytest.fixture
def world(store, ledger, clock, monkeypatch):  # noqa: F811
    world = World(store, ledger, clock)
    monkeypatch.setattr(module, "client", world.client)
    return world


def test_an_approved_version_serves_is_marked_written_down_and_told(world, capsys):
    arn = world.register(1)
    end = world.release(arn)
    assert (end["do"], end["outcome"]) == ("done", "live")
    assert world.facts(arn)["release"] == "live"
    assert world.facts(arn)["endpoint_config"] == world.serving
    assert world.facts(arn)["image_digest"] == "sha256:0123"
    record = world.ledger.rollout("toy")
    assert (record.owner, record.config, record.serving_package) == ("", world.serving, arn)
    assert (record.previous_config, record.previous_package) == (SEED_CONFIG, "")
    assert end["subject"] == "upkeep-test-toy: version 1.1.0 serves"
    assert "roc_auc: 0.64" in end["message"]
    assert emitted(capsys.readouterr().out)[-1]["ReleasesVerified"] == [1.0]


def test_the_update_is_gradual_watched_and_keeps_what_scaling_has_set(world):
    world.release(world.register(1))
    (update,) = world.sagemaker.called("update_endpoint")
    assert update["DeploymentConfig"] == PLAN.deployment
    assert update["RetainAllVariantProperties"] is True
    assert update["ExcludeRetainedVariantProperties"] == [{"VariantPropertyType": "DataCaptureConfig"}]


def test_model_and_configuration_are_made_of_the_package_and_the_stack(world):
    world.release(world.register(1))
    (model,) = world.sagemaker.called("create_model")
    assert model["EnableNetworkIsolation"] is True
    assert model["PrimaryContainer"]["Environment"] == {
        "OMP_NUM_THREADS": "1",
        "UPKEEP_PASSPORT_SHA256": "ab12",
        "UPKEEP_MODEL_VERSION": "1.1.0",
    }
    (config,) = world.sagemaker.called("create_endpoint_config")
    (variant,) = config["ProductionVariants"]
    assert (variant["VariantName"], variant["InitialInstanceCount"]) == ("AllTraffic", 2)
    assert config["DataCaptureConfig"] == {"EnableCapture": True}
    assert config["Tags"] == [{"Key": "project", "Value": "upkeep"}]
    assert len(config["EndpointConfigName"]) <= 63


def test_a_second_release_supersedes_the_first_and_remembers_it(world):
    first, second = world.register(1), world.register(2)
    world.sagemaker.answers = {**fakes.SAMPLE, "run_id": "run1"}
    world.release(first)
    before = world.serving
    world.sagemaker.answers = {**fakes.SAMPLE, "run_id": "run2"}
    world.release(second, OTHER)
    assert (world.facts(first)["release"], world.facts(second)["release"]) == ("superseded", "live")
    record = world.ledger.rollout("toy")
    assert (record.previous_config, record.previous_package) == (before, first)
    assert [one.config for one in record.history] == [before, SEED_CONFIG]


@pytest.mark.parametrize("silent", [True, False])
def test_an_update_that_sagemaker_takes_back_is_a_failure_with_its_reason(world, silent, capsys):
    # hashicorp/terraform-provider-aws issues 46663 and 48997: the update is accepted, taken back, and the
    # endpoint is InService as if nothing had been.
    world.sagemaker.finishes, world.sagemaker.silent = False, silent
    arn = world.register(1)
    end = world.release(arn)
    assert (end["do"], end["error"]) == ("failed", "RolledBack")
    words = "SageMaker gives no reason" if silent else "alarms are in state ALARM"
    assert words in end["reason"]
    assert words in end["message"]
    package = world.sagemaker.packages[arn]
    assert package["ModelApprovalStatus"] == "Rejected"
    assert world.facts(arn)["release"] == "rolled_back"
    record = world.ledger.rollout("toy")
    assert (record.config, world.serving, record.owner) == (SEED_CONFIG, SEED_CONFIG, "")
    assert len(world.sagemaker.called("update_endpoint")) == 1, "it is not tried again"
    assert emitted(capsys.readouterr().out)[-1]["ReleasesFailed"] == [1.0]


def test_a_version_that_was_taken_back_is_released_again_only_when_a_person_says_so(world):
    world.sagemaker.finishes = False
    arn = world.register(1)
    world.release(arn)
    world.sagemaker.finishes = True
    package = world.sagemaker.packages[arn]
    package["ModelApprovalStatus"] = "Approved"
    assert world.release(arn, OTHER)["outcome"] == "nothing"
    package["CustomerMetadataProperties"]["release"] = "retry"
    assert world.release(arn, f"{OTHER}-2")["outcome"] == "live"


def test_a_version_that_answers_otherwise_than_in_training_is_taken_back(world):
    arn = world.register(1)
    world.sagemaker.answers = {**fakes.SAMPLE, "predictions": [{"score": 0.9, "label": 1}] * 2}
    end = world.release(arn)
    assert "row 1: the endpoint answers" in end["reason"]
    assert world.serving == SEED_CONFIG
    _forth, back = world.sagemaker.called("update_endpoint")
    assert back["EndpointConfigName"] == SEED_CONFIG
    assert "DeploymentConfig" not in back, "back is quick"
    assert world.facts(arn)["release"] == "failed"


@pytest.mark.parametrize("what", ["training/toy/run1/output/model.tar.gz", "decisions/toy/run1.json"])
def test_one_changed_byte_and_the_release_is_refused(world, what):
    arn = world.register(1)
    world.store.put(what, world.store.get(what, ARTIFACTS) + b" ", ARTIFACTS)
    end = world.release(arn)
    assert (end["error"], world.facts(arn)["release"]) == ("Refused", "refused")
    assert "SHA-256" in end["reason"]
    assert not world.sagemaker.called("update_endpoint")


@pytest.mark.parametrize("gone", ["configuration", "model", "artifact"])
def test_a_release_without_a_way_back_is_refused(world, gone):
    arn = world.register(1)
    if gone == "configuration":
        del world.sagemaker.configs[SEED_CONFIG]
    elif gone == "model":
        del world.sagemaker.models[SEED_CONFIG]
    else:
        world.store.s3.delete_object(Bucket=ARTIFACTS, Key="training/toy/seed/output/model.tar.gz")
    end = world.release(arn)
    assert end["error"] == "Refused"
    assert gone in end["reason"]
    assert not world.sagemaker.called("update_endpoint")


def test_an_approval_that_is_withdrawn_before_the_update_stops_the_release_without_a_word(world):
    arn = world.register(1)
    world.sagemaker.failing["UpdateEndpoint"] = [
        fakes.refusal("UpdateEndpoint", "Rate exceeded", "ThrottlingException")
    ]
    with pytest.raises(TransientError):
        world.release(arn)
    world.sagemaker.packages[arn]["ModelApprovalStatus"] = "Rejected"
    end = world.release(arn)
    assert (end["do"], end["outcome"], end["subject"]) == ("done", "withdrawn", "")
    assert not world.sagemaker.called("update_endpoint")
    assert world.ledger.rollout("toy").owner == ""


@pytest.mark.parametrize("status", ["PendingManualApproval", "Rejected"])
def test_what_is_not_approved_is_not_touched(world, status):
    end = world.release(world.register(1, ModelApprovalStatus=status))
    assert (end["outcome"], end["subject"]) == ("nothing", "")
    assert not world.sagemaker.calls


def test_an_unknown_version_fails_and_is_told(world):
    end = world.release(f"{fakes.GROUP}/99")
    assert end["do"] == "failed"
    assert "/99" in end["message"]


def test_two_releases_go_one_after_the_other(world):
    first, second = world.register(1), world.register(2)
    world.sagemaker.looks = 10_000
    world.sagemaker.answers = {**fakes.SAMPLE, "run_id": "run1"}
    request = {"detail": {"ModelPackageArn": first}}
    assert world.call(request)["do"] == "wait"
    waiting = world.call({"detail": {"ModelPackageArn": second}}, OTHER)
    assert (waiting["do"], "another release is under way" in waiting["reason"]) == ("wait", True)
    world.sagemaker.left = 0
    assert world.run(request)["outcome"] == "live"
    world.sagemaker.looks, world.sagemaker.answers = 1, {**fakes.SAMPLE, "run_id": "run2"}
    assert world.release(second, OTHER)["outcome"] == "live"


def test_a_rollback_stops_the_rollout_that_it_is_against(world):
    arn = world.register(1)
    world.sagemaker.looks = 10_000
    releasing = {"detail": {"ModelPackageArn": arn}}
    world.call(releasing)
    rollback = {"operation": "rollback", "reason": "it looks odd", "by": "ann"}
    asked = world.call(rollback, OTHER)
    assert asked["do"] == "wait"
    assert asked["request"]["away_from"] == world.ledger.rollout("toy").to_config
    assert world.alarms.ringing == {STOP}
    world.sagemaker.finishes, world.sagemaker.left = False, 0
    assert "it looks odd (by ann)" in world.run(releasing)["reason"]
    end = world.run(asked["request"], OTHER)
    assert (end["do"], end["outcome"]) == ("done", "nothing")
    assert world.serving == SEED_CONFIG
    assert world.alarms.ringing == set(), "the next rollout is not taken back by it"


def test_a_rollback_goes_back_though_the_newest_artifact_is_gone(world):
    arn = world.register(1)
    world.release(arn)
    world.store.s3.delete_object(Bucket=ARTIFACTS, Key="training/toy/run1/output/model.tar.gz")
    end = world.run({"operation": "rollback", "to": "previous", "reason": "bad"}, OTHER)
    assert (end["do"], end["outcome"], world.serving) == ("done", "live", SEED_CONFIG)
    assert "DeploymentConfig" not in world.sagemaker.called("update_endpoint")[-1]
    assert world.facts(arn)["release"] == "rolled_back"
    assert world.sagemaker.packages[arn]["ModelApprovalStatus"] == "Rejected"
    record = world.ledger.rollout("toy")
    assert (record.config, record.serving_package, record.previous_config) == (SEED_CONFIG, "", "")


def test_a_rollback_to_a_version_finds_it_by_what_the_registry_says(world):
    first, second = world.register(1), world.register(2)
    for arn, run, execution in ((first, "run1", EXECUTION), (second, "run2", OTHER)):
        world.sagemaker.answers = {**fakes.SAMPLE, "run_id": run}
        world.release(arn, execution)
    end = world.run({"operation": "rollback", "to": first}, f"{OTHER}-3")
    assert end["outcome"] == "live"
    assert (world.facts(first)["release"], world.facts(second)["release"]) == ("live", "rolled_back")
    again = world.run({"operation": "rollback", "to": "seed"}, f"{OTHER}-4")
    assert (again["outcome"], world.serving) == ("live", SEED_CONFIG)


def test_a_rollback_to_what_never_served_is_refused_with_what_to_do(world):
    arn = world.register(1)
    end = world.run({"operation": "rollback", "to": arn}, OTHER)
    assert end["do"] == "failed"
    assert "approve it" in end["reason"]


def test_a_rollback_without_anything_before_says_so(world):
    end = world.run({"operation": "rollback"}, OTHER)
    assert "there is nothing to go back to" in end["reason"]
    assert not world.sagemaker.called("update_endpoint")


def _abandoned(world):
    """A release whose execution was aborted while the endpoint was updating."""
    arn = world.register(1)
    world.sagemaker.looks = 10_000
    world.call({"detail": {"ModelPackageArn": arn}})
    world.states.ended[EXECUTION] = datetime.fromtimestamp(world.clock.at, UTC)
    return arn


def test_a_claim_is_not_taken_while_the_last_call_of_the_dead_may_go_on(world):
    _abandoned(world)
    assert world.call({"operation": "recover"}, OTHER)["do"] == "wait"


def test_what_an_aborted_execution_left_behind_is_taken_back_and_told(world):
    arn = _abandoned(world)
    world.clock.at += LAST_CALL_SECONDS + 1
    found = world.call({"operation": "recover"}, OTHER)
    assert found["do"] == "wait"
    assert world.alarms.ringing == {STOP}
    world.sagemaker.finishes, world.sagemaker.left = False, 0
    told = world.call(found["request"], OTHER)
    assert told["do"] == "tell"
    assert "ended without a word" in told["message"]
    end = world.run(told["request"], OTHER)
    assert (end["do"], end["outcome"], end["subject"]) == ("done", "rolled_back", ""), "and told once"
    assert (world.serving, world.facts(arn)["release"]) == (SEED_CONFIG, "rolled_back")
    assert world.ledger.rollout("toy").owner == ""


def test_the_same_approval_again_goes_on_where_the_dead_one_stopped(world):
    arn = _abandoned(world)
    world.clock.at += LAST_CALL_SECONDS + 1
    world.sagemaker.left = 0
    assert world.release(arn, OTHER)["outcome"] == "live"


def test_an_update_that_is_refused_for_good_ends_the_release(world):
    arn = world.register(1)
    world.sagemaker.failing["UpdateEndpoint"] = [
        fakes.refusal("UpdateEndpoint", "not authorized to perform it", "AccessDeniedException")
    ]
    end = world.release(arn)
    assert "UpdateEndpoint: AccessDeniedException: not authorized" in end["reason"]
    assert (world.serving, world.facts(arn)["release"]) == (SEED_CONFIG, "failed")


def test_a_model_that_cannot_be_made_ends_the_release(world):
    arn = world.register(1)
    world.sagemaker.failing["create_model"] = [fakes.refusal("CreateModel", "Could not access model data")]
    assert "Could not access model data" in world.release(arn)["reason"]
    assert world.facts(arn)["release"] == "failed"


@pytest.mark.parametrize(
    "error",
    [
        fakes.refusal("DescribeEndpoint", "Rate exceeded", "ThrottlingException"),
        fakes.refusal("DescribeEndpoint", "oops", "InternalFailure", 500),
        EndpointConnectionError(endpoint_url="https://x"),
    ],
)
def test_what_passes_by_itself_is_left_to_the_machines_retries(world, error):
    world.sagemaker.failing["DescribeEndpoint"] = [error]
    arn = world.register(1)
    with pytest.raises(TransientError):
        world.release(arn)
    assert world.release(arn)["outcome"] == "live"


def test_a_check_is_asked_for_with_the_jobs_parameters_and_its_result_decides(world):
    world.plan = replace(PLAN, check_requests=5)
    arn = world.register(1)
    asked = world.call({"detail": {"ModelPackageArn": arn}})
    assert asked["do"] == "check"
    name = asked["check"]["ProcessingJobName"]
    result = {
        "schema": 1, "run_id": "run1", "passed": False, "reason": "3 of 5 requests were not answered",
        "started_seconds": 1.0, "requests": 5, "errors": 3, "p50_milliseconds": 1.0,
        "p99_milliseconds": 2.0, "shadow": None,
    }  # fmt: skip
    world.store.put(f"checks/toy/run1/{name}/check.json", json.dumps(result), ARTIFACTS)
    end = world.run(asked["request"])
    assert (end["error"], end["reason"]) == ("Refused", "3 of 5 requests were not answered")
    assert not world.sagemaker.called("update_endpoint")


def test_a_job_that_breaks_is_tried_once_more_under_another_name(world):
    world.plan = replace(PLAN, check_requests=5)
    asked = world.call({"detail": {"ModelPackageArn": world.register(1)}})
    world.sagemaker.jobs[asked["check"]["ProcessingJobName"]] = {
        "ProcessingJobStatus": "Failed",
        "FailureReason": "no capacity",
    }
    again = world.call(asked["request"])
    assert again["check"]["ProcessingJobName"] != asked["check"]["ProcessingJobName"]
    world.sagemaker.jobs[again["check"]["ProcessingJobName"]] = {
        "ProcessingJobStatus": "Failed",
        "FailureReason": "no capacity",
    }
    end = world.run(again["request"])
    assert "the check could not be made" in end["reason"]
    assert "no capacity" in end["reason"]


def test_all_that_the_machine_reads_is_in_every_answer(world):
    arn = world.register(1)
    first = world.call({"detail": {"ModelPackageArn": arn}})
    assert set(first) == set(ANSWER)
    assert set(world.run(first["request"])) == set(ANSWER)


@pytest.mark.parametrize("request_", [{}, {"operation": "dance"}, {"detail": {}}])
def test_a_request_for_nothing_that_is_known_says_what_is(world, request_):
    with pytest.raises(ValueError, match="expected an approval, or operation release, rollback or recover"):
        world.call(request_)


@pytest.mark.parametrize(
    "request_",
    [
        {"operation": "rollback", "to": "seed", "away_from": "x", "reason": "r", "by": "b"},
        {"operation": "release", "package_arn": "arn"},
        {"operation": "recover"},
    ],
)
def test_a_request_survives_the_way_through_the_machine(request_):
    assert module.write_operation(module.read_operation(request_)) == request_
