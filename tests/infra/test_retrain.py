import json
from dataclasses import replace
from typing import Any

import pytest

from infra.naming import Names
from infra.retrain_states import RetrainPlan, retrain_definition
from models.load import load
from tests.infra import states
from tests.infra.mocks import IMAGE
from tests.infra.states import TaskError

NAMES = Names(stack="dev", account_id="123456789012", region="eu-central-1")
PLAN = RetrainPlan(
    names=NAMES,
    spec=load(["flights"])["flights"],
    image=IMAGE,
    role_arn="arn:role",
    key_arn="arn:key",
    topic_arn="arn:topic",
    judge_arn="arn:judge",
    code_uri="s3://artifacts/code/1/code.tar.gz",
    spec_uri="s3://artifacts/specs/flights.json",
    output_uri="s3://artifacts/training/flights",
    checkpoints_uri="s3://artifacts/checkpoints/flights",
    tags={"project": "upkeep"},
)
GIVEN = {
    "model": "flights",
    "run_id": "0" * 20,
    "manifest_uri": "s3://data/manifests/flights/1.json",
    "rows": 100,
    "files": 2,
    "dropped": 3,
    "trigger": "data",
    "data_version": "d" * 20,
    "data_version_uri": "s3://data/manifests/flights/" + "d" * 20 + ".data.json",
    "contract_version": "c" * 12,
}
JOB = {
    "TrainingJobName": "upkeep-dev-flights-1",
    "TrainingJobArn": "arn:job",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://artifacts/training/flights/1/output/model.tar.gz"},
}
DECISION = {
    "decision": "promote",
    "reason": "better",
    "approval": "Approved",
    "model_data_url": "s3://artifacts/m",
    "decision_uri": "s3://artifacts/d.json",
    "report_uri": "s3://artifacts/d.html",
    "metadata": {"run_id": "0" * 20},
    "environment": {"UPKEEP_PASSPORT_SHA256": "5" * 64, "UPKEEP_MODEL_VERSION": "1.2.3"},
    "notice": {"subject": "1.2.3 waits", "message": "upkeep models approve 1.2.3"},
}


def run(**fakes: Any) -> states.Run:
    answers: dict[str, Any] = {
        "describeEndpoint": {"EndpointConfigName": "c1"},
        "describeEndpointConfig": {"ProductionVariants": [{"ModelName": "m1"}]},
        "describeModel": {"ModelName": "m1", "PrimaryContainer": {"ModelDataUrl": "s3://artifacts/champion"}},
        "createTrainingJob.sync": JOB,
        "invoke": {"Payload": DECISION, "StatusCode": 200},
        "createModelPackage": {"ModelPackageArn": "arn:package/1"},
        "publish": {"MessageId": "1"},
    } | fakes

    def fake(answer: Any) -> states.Fake:
        def call(_: dict[str, Any]) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    return states.execute(
        retrain_definition(PLAN), GIVEN, {name: fake(answer) for name, answer in answers.items()}
    )


def test_every_state_is_reached_and_leads_somewhere() -> None:
    assert states.faults(retrain_definition(PLAN)) == []


def test_the_challenger_is_trained_beside_the_model_that_serves_now() -> None:
    (job,) = run().called("createTrainingJob.sync")
    channels = {c["ChannelName"]: c["DataSource"]["S3DataSource"] for c in job["InputDataConfig"]}
    assert channels["champion"]["S3Uri"] == "s3://artifacts/champion"
    assert channels["data"] == {
        "S3DataType": "ManifestFile",
        "S3Uri": GIVEN["manifest_uri"],
        "S3DataDistributionType": "FullyReplicated",
    }
    assert job["TrainingJobName"] == "upkeep-dev-flights-" + "0" * 20
    assert job["HyperParameters"]["run_id"] == "0" * 20
    assert job["EnableNetworkIsolation"] is True
    assert job["OutputDataConfig"]["KmsKeyId"] == "arn:key"
    assert job["Tags"] == [{"Key": "project", "Value": "upkeep"}]


def test_the_champion_is_read_only_with_the_passport_it_was_released_with() -> None:
    (job,) = run().called("createTrainingJob.sync")
    assert job["HyperParameters"]["champion_passport"] == "none"
    container = {"ModelDataUrl": "s3://artifacts/champion", "Environment": DECISION["environment"]}
    (job,) = run(describeModel={"PrimaryContainer": container}).called("createTrainingJob.sync")
    assert job["HyperParameters"]["champion_passport"] == "5" * 64


def test_a_decision_is_registered_with_its_reason_and_ends_up_in_the_output() -> None:
    done = run()
    (package,) = done.called("createModelPackage")
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["ModelPackageDescription"] == "better"
    assert package["CustomerMetadataProperties"] == DECISION["metadata"]
    assert package["ClientToken"] == "0" * 20
    assert package["ModelMetrics"] == {
        "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://artifacts/d.json"}},
        "Explainability": {"Report": {"ContentType": "text/html", "S3Uri": "s3://artifacts/d.html"}},
    }
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container["Environment"].items() > DECISION["environment"].items()
    assert done.status == "SUCCEEDED"
    assert done.output["decision"] == DECISION
    assert done.output["model_package_arn"] == "arn:package/1"


def test_the_judge_is_told_all_that_the_execution_was_started_with() -> None:
    (call,) = run().called("invoke")
    told = {**GIVEN, "training_job": JOB, "champion_url": "s3://artifacts/champion"}
    assert call == {"FunctionName": "arn:judge", "Payload": told}


def test_a_refused_challenger_is_registered_as_rejected() -> None:
    refused = DECISION | {"decision": "refuse", "approval": "Rejected", "reason": "worse"}
    done = run(invoke={"Payload": refused})
    assert done.called("createModelPackage")[0]["ModelApprovalStatus"] == "Rejected"
    assert done.status == "SUCCEEDED"


def test_people_are_told_of_a_version_that_waits_for_them() -> None:
    done = run(invoke={"Payload": DECISION | {"approval": "PendingManualApproval"}})
    (message,) = done.called("publish")
    assert message == {
        "TopicArn": "arn:topic",
        "Subject": "1.2.3 waits",
        "Message": "upkeep models approve 1.2.3",
    }
    assert done.status == "SUCCEEDED"
    assert done.output["model_package_arn"] == "arn:package/1"


@pytest.mark.parametrize("approval", ["Approved", "Rejected"])
def test_nobody_is_told_of_a_version_that_asks_nothing_of_them(approval: str) -> None:
    assert run(invoke={"Payload": DECISION | {"approval": approval}}).called("publish") == []


def test_a_version_that_waits_is_registered_though_nobody_can_be_told() -> None:
    waits = {"Payload": DECISION | {"approval": "PendingManualApproval"}}
    done = run(invoke=waits, publish=TaskError("SNS.Error", "no"))
    assert (done.status, done.output["model_package_arn"]) == ("SUCCEEDED", "arn:package/1")


def test_the_words_of_a_failed_training_are_the_cause_of_the_failed_execution() -> None:
    job = JOB | {
        "TrainingJobStatus": "Failed",
        "SecondaryStatus": "Failed",
        "FailureReason": "AlgorithmError: column late is empty",
    }
    done = run(**{"createTrainingJob.sync": TaskError("States.TaskFailed", json.dumps(job))})
    assert (done.status, done.error) == ("FAILED", "TrainingFailed")
    assert done.cause == (
        "Training job upkeep-dev-flights-1 ended as Failed: AlgorithmError: column late is empty"
    )
    assert "AlgorithmError" in done.called("publish")[0]["Message"]
    assert not done.called("createModelPackage")


def test_a_stopped_training_is_told_in_a_sentence() -> None:
    job = JOB | {"TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}
    done = run(**{"createTrainingJob.sync": TaskError("States.TaskFailed", json.dumps(job))})
    assert (done.status, done.error) == ("FAILED", "TrainingFailed")
    assert done.cause == "Training job upkeep-dev-flights-1 ended as Stopped: Stopped"


def test_a_training_that_ran_into_its_limit_is_announced_with_the_limit_and_where_it_is_set() -> None:
    job = JOB | {"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}
    done = run(**{"createTrainingJob.sync": TaskError("States.TaskFailed", json.dumps(job))})
    assert (done.status, done.error) == ("FAILED", "TrainingFailed")
    seconds = PLAN.spec.training.max_runtime_seconds
    assert done.cause == (
        f"Training job upkeep-dev-flights-1 ended as Stopped: it ran for {seconds} s, the limit that "
        "training.max_runtime_seconds of the model spec sets"
    )
    assert done.cause in done.called("publish")[0]["Message"]
    assert not done.called("createModelPackage")


def test_a_spot_job_that_waited_too_long_is_announced_with_that_limit() -> None:
    spec = load(["flights"], {"flights": {"training": {"spot": True, "max_runtime_seconds": 600}}})["flights"]
    states = retrain_definition(replace(PLAN, spec=spec))["States"]
    rules = {rule.get("StringEquals"): rule["Next"] for rule in states["DoesTheJobSayWhy"]["Choices"]}
    assert "within 4200 s" in states[rules["MaxWaitTimeExceeded"]]["Parameters"]["cause.$"]


@pytest.mark.parametrize(
    "cause", ["", "Rate exceeded", '{"TrainingJobStatus": "Stopped"}', '"FailureReason":']
)
def test_other_failures_of_the_training_keep_their_own_cause(cause: str) -> None:
    done = run(**{"createTrainingJob.sync": TaskError("SageMaker.AmazonSageMakerException", cause)})
    assert (done.status, done.error) == ("FAILED", "SageMaker.AmazonSageMakerException")
    assert done.cause == cause


@pytest.mark.parametrize(
    "step", ["describeEndpoint", "describeEndpointConfig", "describeModel", "invoke", "createModelPackage"]
)
def test_a_step_that_fails_is_announced_and_fails_the_execution(step: str) -> None:
    done = run(**{step: TaskError("Some.Error", "why")})
    assert (done.status, done.error, done.cause) == ("FAILED", "Some.Error", "why")
    assert "why" in done.called("publish")[0]["Message"]


def test_a_failing_announcement_does_not_hide_what_failed() -> None:
    done = run(invoke=TaskError("Lambda.Unknown", "why"), publish=TaskError("SNS.Error", "no"))
    assert (done.error, done.cause) == ("Lambda.Unknown", "why")


def test_a_job_on_spot_capacity_keeps_its_own_checkpoints_and_may_wait() -> None:
    spec = load(["flights"], {"flights": {"training": {"spot": True, "max_runtime_seconds": 600}}})["flights"]
    parameters = retrain_definition(replace(PLAN, spec=spec))["States"]["Train"]["Parameters"]
    assert parameters["EnableManagedSpotTraining"] is True
    assert parameters["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 4200}
    uri = "States.Format('s3://artifacts/checkpoints/flights/{}', $.run_id)"
    assert parameters["CheckpointConfig"] == {"S3Uri.$": uri}
    assert retrain_definition(replace(PLAN, spec=spec))["States"]["Train"]["TimeoutSeconds"] > 4200
    assert "CheckpointConfig" not in retrain_definition(PLAN)["States"]["Train"]["Parameters"]
