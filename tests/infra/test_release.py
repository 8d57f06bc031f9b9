import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from infra import release_plan
from infra.naming import Names
from infra.release import approval_pattern
from infra.release_plan import ReleasePlan
from infra.release_states import release_definition
from models.load import load
from tests.infra import states
from tests.infra.mocks import deploy
from tests.infra.states import TaskError

NAMES = Names(stack="dev", account_id="123456789012", region="eu-central-1")
SPEC = load(["flights"], {"flights": {"serving": {"instance_count": 1}}})["flights"]
PLAN = ReleasePlan(
    names=NAMES,
    spec=SPEC,
    role_arn="arn:role",
    key_arn="arn:key",
    topic_arn="arn:topic",
    verify_arn="arn:verify",
    data_bucket="data",
    tags={"project": "upkeep"},
)
ARN = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/upkeep-dev-flights/7"
EVENT = {"detail": {"ModelPackageArn": ARN, "ModelApprovalStatus": "Approved"}}
NAME = "upkeep-dev-flights-v7-0123abcd"


@dataclass
class World:
    """A SageMaker with one endpoint that takes `looks` looks to update.

    Attributes:
        outcome: What an update comes to: `updated`, `rolled back`, `failed`, `never`.
        busy: Looks until somebody else's update is over.
    """

    approval: str = "Approved"
    metadata: dict[str, str] = field(default_factory=dict)
    serving: str = "old"
    outcome: str = "updated"
    looks: int = 2
    busy: int = 0
    refused_updates: int = 0
    verified: Any = True
    models: dict[str, str] = field(default_factory=lambda: {"old": "s3://artifacts/old"})
    updating: str = ""
    left: int = 0
    failure: str = ""
    answers: dict[str, Any] = field(default_factory=dict)

    def run(self) -> states.Run:
        names = ("describeModelPackage", "describeEndpoint", "describeEndpointConfig", "describeModel")
        names += (
            "createModel",
            "createEndpointConfig",
            "updateEndpoint",
            "invoke",
            "updateModelPackage",
            "publish",
        )
        return states.execute(release_definition(PLAN), EVENT, {name: self._fake(name) for name in names})

    def _fake(self, name: str) -> states.Fake:
        def call(parameters: dict[str, Any]) -> Any:
            answer = self.answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            return getattr(self, re.sub(r"([A-Z])", r"_\1", name).lower())(parameters)

        return call

    def describe_model_package(self, _: dict[str, Any]) -> dict[str, Any]:
        container = {"Image": "image", "ModelDataUrl": "s3://artifacts/new"}
        found = {
            "ModelPackageArn": ARN,
            "ModelPackageVersion": 7,
            "ModelApprovalStatus": self.approval,
            "InferenceSpecification": {"Containers": [container]},
        }
        return found | ({"CustomerMetadataProperties": self.metadata} if self.metadata else {})

    def describe_endpoint(self, _: dict[str, Any]) -> dict[str, Any]:
        found = {"EndpointStatus": "InService", "EndpointConfigName": self.serving}
        if self.failure:
            return found | {"FailureReason": self.failure}
        if self.busy:
            self.busy -= 1
            return found | {"EndpointStatus": "Updating"}
        if not self.updating:
            return found
        if self.left or self.outcome == "never":
            self.left -= 1
            return found | {"EndpointStatus": "Updating"}
        done, self.updating = self.updating, ""
        if self.outcome == "failed":
            return found | {"EndpointStatus": "Failed"}
        if self.outcome == "rolled back":
            self.failure = "The model container did not pass the health check"
            return found | {"FailureReason": self.failure}
        self.serving = done
        return found | {"EndpointConfigName": done}

    def describe_endpoint_config(self, parameters: dict[str, Any]) -> dict[str, Any]:
        return {"ProductionVariants": [{"ModelName": parameters["EndpointConfigName"]}]}

    def describe_model(self, parameters: dict[str, Any]) -> dict[str, Any]:
        return {"PrimaryContainer": {"ModelDataUrl": self.models[parameters["ModelName"]]}}

    def create_model(self, parameters: dict[str, Any]) -> dict[str, Any]:
        assert parameters["ModelName"] not in self.models, "names are unique"
        self.models[parameters["ModelName"]] = parameters["PrimaryContainer"]["ModelDataUrl"]
        return {"ModelArn": "arn"}

    def create_endpoint_config(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"EndpointConfigArn": "arn"}

    def update_endpoint(self, parameters: dict[str, Any]) -> dict[str, Any]:
        if self.refused_updates:
            self.refused_updates -= 1
            self.busy = 1
            raise TaskError("SageMaker.SageMakerException", "Cannot update in-progress endpoint")
        self.updating, self.left = parameters["EndpointConfigName"], self.looks
        return {"EndpointArn": "arn"}

    def invoke(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"Payload": {"verified": self.verified, "reason": "row 1 differs"}}

    def update_model_package(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"ModelPackageArn": ARN}

    def publish(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"MessageId": "1"}


def _rejection(done: states.Run) -> dict[str, Any]:
    (found,) = [p for p in done.called("updateModelPackage") if p.get("ModelApprovalStatus") == "Rejected"]
    return found


def test_every_state_is_reached_and_leads_somewhere() -> None:
    assert states.faults(release_definition(PLAN)) == []


def test_an_approved_package_goes_live_verified_and_marked() -> None:
    done = World().run()
    assert done.status == "SUCCEEDED"
    assert done.output["endpoint_config"] == NAME
    (update,) = done.called("updateEndpoint")
    assert update == {
        "EndpointName": "upkeep-dev-flights",
        "EndpointConfigName": NAME,
        "RetainAllVariantProperties": True,
    }
    (verify,) = done.called("invoke")
    assert verify["Payload"] == {
        "model": "flights",
        "endpoint": "upkeep-dev-flights",
        "expected_config": NAME,
        "model_package_arn": ARN,
        "model_name": NAME,
    }
    (mark,) = done.called("updateModelPackage")
    assert mark["CustomerMetadataProperties"]["release"] == "live"
    assert not done.called("publish")


def test_the_new_configuration_keeps_the_variant_and_records_requests() -> None:
    (config,) = World().run().called("createEndpointConfig")
    (variant,) = config["ProductionVariants"]
    assert variant["VariantName"] == "AllTraffic"
    assert (variant["ModelName"], variant["InitialInstanceCount"]) == (NAME, 1)
    assert config["DataCaptureConfig"]["DestinationS3Uri"] == "s3://data/capture/flights"
    assert config["DataCaptureConfig"]["KmsKeyId"] == "arn:key"


def test_the_model_has_no_network() -> None:
    (model,) = World().run().called("createModel")
    assert model["EnableNetworkIsolation"] is True
    assert model["PrimaryContainer"]["Environment"]["PIP_NO_INDEX"] == "1"


@pytest.mark.parametrize(
    "world",
    [
        World(metadata={"release": "live"}),
        World(approval="Rejected"),
        World(approval="PendingManualApproval"),
    ],
)
def test_a_repeated_or_outdated_event_changes_nothing(world: World) -> None:
    done = world.run()
    assert done.status == "SUCCEEDED"
    assert [name for name, _ in done.calls] == ["describeModelPackage"]


def test_a_package_that_serves_already_is_verified_and_marked_without_an_update() -> None:
    done = World(models={"old": "s3://artifacts/new"}).run()
    assert done.status == "SUCCEEDED"
    assert not done.called("updateEndpoint")
    assert done.called("invoke")[0]["Payload"]["model_name"] == "old"
    assert done.called("updateModelPackage")[0]["CustomerMetadataProperties"]["release"] == "live"


def test_a_release_waits_until_somebody_elses_update_is_over() -> None:
    done = World(busy=3).run()
    assert done.status == "SUCCEEDED"
    assert done.path.count("WaitForEndpoint") == 3


def test_two_releases_that_meet_at_the_update_both_go_through() -> None:
    done = World(refused_updates=2).run()
    assert done.status == "SUCCEEDED"
    assert len(done.called("createModel")) == 1
    assert len(done.called("updateEndpoint")) == 3


def test_an_update_that_is_refused_for_good_rejects_the_package() -> None:
    done = World(refused_updates=99).run()
    assert done.status == "FAILED"
    assert len(done.called("updateEndpoint")) == release_plan.MAX_UPDATES
    assert done.cause == "Cannot update in-progress endpoint"
    assert "SageMaker.SageMakerException" in _rejection(done)["ApprovalDescription"]


def test_a_silent_rollback_is_a_failed_release_with_its_reason() -> None:
    done = World(outcome="rolled back").run()
    assert (done.status, done.error) == ("FAILED", "EndpointNotUpdated")
    assert done.cause == "The model container did not pass the health check"
    assert _rejection(done)["ApprovalDescription"] == done.cause
    assert done.cause in done.called("publish")[0]["Message"]
    assert not done.called("invoke")


def test_a_failed_endpoint_without_a_reason_still_says_what_is() -> None:
    done = World(outcome="failed").run()
    assert done.cause == "The endpoint is Failed with configuration old and gives no reason"


def test_an_update_that_never_ends_is_given_up_after_about_an_hour() -> None:
    done = World(outcome="never").run()
    assert "was not in service" in done.cause
    assert 3000 < done.waited_seconds < 4500
    # A standard execution has at most 25,000 events; a state makes at most 5.
    assert len(done.path) * 5 < 25_000


def test_a_model_that_answers_wrongly_is_taken_back() -> None:
    done = World(verified=False).run()
    assert (done.status, done.error, done.cause) == ("FAILED", "NotVerified", "row 1 differs")
    assert [u["EndpointConfigName"] for u in done.called("updateEndpoint")] == [NAME, "old"]
    assert _rejection(done)["ApprovalDescription"] == "row 1 differs"


def test_a_verification_that_breaks_takes_the_model_back_too() -> None:
    done = World(answers={"invoke": TaskError("Lambda.Unknown", "x" * 5000)}).run()
    assert [u["EndpointConfigName"] for u in done.called("updateEndpoint")] == [NAME, "old"]
    assert len(_rejection(done)["ApprovalDescription"]) <= 1024
    assert done.cause == "x" * 5000


@pytest.mark.parametrize("step", ["createModel", "createEndpointConfig", "describeEndpoint", "describeModel"])
def test_a_step_that_fails_rejects_the_package_and_leaves_the_endpoint_alone(step: str) -> None:
    done = World(answers={step: TaskError("Some.Error", "why")}).run()
    assert (done.status, done.error, done.cause) == ("FAILED", "Some.Error", "why")
    assert "Some.Error" in _rejection(done)["ApprovalDescription"]
    assert not done.called("updateEndpoint")


def test_an_unknown_package_is_announced_and_fails() -> None:
    done = World(answers={"describeModelPackage": TaskError("SageMaker.SageMakerException", "gone")}).run()
    assert (done.status, done.cause) == ("FAILED", "gone")
    assert ARN in done.called("publish")[0]["Message"]


def test_a_spec_without_capture_makes_a_configuration_without_it() -> None:
    silent = load(["flights"], {"flights": {"serving": {"capture_percent": 0}}})["flights"]
    definition = release_definition(replace(PLAN, spec=silent))
    assert "DataCaptureConfig" not in definition["States"]["CreateConfig"]["Parameters"]


def test_only_an_approval_in_this_models_group_starts_a_release() -> None:
    deployment = deploy(stack="dev")
    rule = deployment.one("EventRule", "flights-release-approved-rule")
    assert rule.document("eventPattern") == approval_pattern("upkeep-dev-flights")
    assert rule.document("eventPattern")["detail"] == {
        "ModelPackageGroupName": ["upkeep-dev-flights"],
        "ModelApprovalStatus": ["Approved"],
    }


def _names_in(definition: Any) -> Iterator[str]:
    if isinstance(definition, dict):
        for key, value in definition.items():
            if key == "name.$" and "Format" in value:
                yield value
            yield from _names_in(value)


def test_names_of_a_release_fit_with_five_digits_of_version() -> None:
    (template,) = _names_in(release_definition(PLAN))
    longest = states.evaluate(template, {"package": {"ModelPackageVersion": 99999}})
    assert len(longest) <= 63
