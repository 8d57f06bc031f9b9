"""The state that runs a check, and what it and the function behind it may do."""

from __future__ import annotations

from typing import Any

import pytest

from inference.preflight import places, prepare
from infra import preflight
from infra.model_role import model_permissions
from infra.naming import Names
from infra.permissions import Permission
from models.load import load
from tests.inference.preflight.fakes import FakeS3
from tests.inference.preflight.test_prepare import PLAN
from tests.infra import states
from tests.infra.mocks import IMAGE
from tests.infra.states import TaskError

NAMES = Names(stack="dev", account_id="123456789012", region="eu-central-1")
JOBS = "arn:aws:sagemaker:eu-central-1:123456789012:processing-job/upkeep-dev-flights-check-*"


class FakeStorage:
    """Gives permissions as the real one does, without resources."""

    def __getattr__(self, name: str) -> Any:
        def permission(sid: str = "Key", *rest: str, **_: Any) -> Permission:
            return Permission(sid=sid, actions=[f"fake:{name}"], resources=[" ".join(rest) or "key"])

        return permission


def run(job: Any) -> states.Run:
    definition = {
        "StartAt": "Check",
        "States": {
            "Check": preflight.check_state(NAMES, then="Step", on_error="StepAfterAll"),
            "Step": {"Type": "Succeed"},
            "StepAfterAll": {"Type": "Succeed"},
        },
    }
    given = {"result": {"do": "check", "check": prepare.prepare(FakeS3(), PLAN)}}
    return states.execute(definition, given, {"createProcessingJob.sync": job})


def test_the_job_is_the_one_that_was_described() -> None:
    done = run(lambda _: {"ProcessingJobStatus": "Completed"})
    assert done.path == ["Check", "Step"]
    assert done.called("createProcessingJob.sync") == [prepare.prepare(FakeS3(), PLAN)]
    assert done.output["result"]["do"] == "check"


def test_a_failed_job_leads_where_it_was_asked_to() -> None:
    def fail(_: dict[str, Any]) -> None:
        raise TaskError("States.TaskFailed", "no instance")

    done = run(fail)
    assert done.path == ["Check", "StepAfterAll"]
    assert done.output["error"]["Error"] == "States.TaskFailed"


def test_the_job_has_no_network_whatever_the_function_says() -> None:
    parameters = preflight.check_state(NAMES, "a", "b")["Parameters"]
    assert parameters["NetworkConfig"] == {"EnableNetworkIsolation": True}


def test_the_state_waits_longer_than_the_job_may_take() -> None:
    assert preflight.TIMEOUT_SECONDS > prepare.CHECK_SECONDS + prepare.MARGIN_SECONDS


def test_the_machine_may_run_jobs_of_its_own_model_alone() -> None:
    found = {p.sid: p for p in preflight.machine_permissions(NAMES, "flights", "arn:role")}
    assert found["Check"].resources == [JOBS]
    assert "sagemaker:StopProcessingJob" in found["Check"].actions
    assert found["PassRole"].resources == ["arn:role"]
    assert found["WaitForTheCheck"].resources == [
        "arn:aws:events:eu-central-1:123456789012:rule/StepFunctionsGetEventsForSageMakerProcessingJobsRule"
    ]


@pytest.mark.parametrize("model", ["flights", "a" * 20])
def test_every_name_of_a_check_is_one_the_machine_may_use(model: str) -> None:
    base = NAMES.model(model).base
    pattern = preflight.machine_permissions(NAMES, model, "arn:role")[0].resources[0]
    assert isinstance(pattern, str)
    name = places.job_name(base, "r" * 20, "e" * 80)
    assert NAMES.sagemaker_arn("processing-job", name).startswith(pattern.removesuffix("*"))


def test_the_longest_stack_leaves_the_names_whole() -> None:
    names = Names(stack="s" * 60, account_id="123456789012", region="eu-central-1")
    base = names.model("m" * 20).base
    assert places.job_name(base, "r", "1").startswith(f"{base}-check-")


def test_the_function_reads_what_was_recorded_and_writes_checks_alone() -> None:
    storage: Any = FakeStorage()
    found = {p.sid: p for p in preflight.function_permissions(NAMES, storage, ["flights", "prices"])}
    assert found["ReadRecorded"].resources == ["data capture/flights/* capture/prices/*"]
    assert found["WriteChecks"].resources == ["artifacts checks/flights/* checks/prices/*"]
    assert found["LookAtChecks"].resources[0] == JOBS


def test_the_models_role_writes_the_outcome_and_the_log() -> None:
    storage: Any = FakeStorage()
    found = {p.sid: p for p in model_permissions(NAMES, storage, load(["flights"])["flights"], IMAGE)}
    assert "checks/flights/*" in str(found["WriteModel"].resources[0])
    assert "checks/flights/" in str(found["ListCode"].resources[0])
    assert any("/aws/sagemaker/ProcessingJobs" in str(arn) for arn in found["WriteLogs"].resources)
    namespaces = found["WriteMetrics"].conditions["StringEquals"]["cloudwatch:namespace"]
    assert "/aws/sagemaker/ProcessingJobs" in namespaces
