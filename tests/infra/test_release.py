"""The release machine asks the function, waits, runs the check and tells people; and who may do what."""

import json
from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from inference.release.handler import SECONDS, pause
from inference.release.observe import LAST_CALL_SECONDS
from infra import release_plan
from infra.alarms import ROLLOUT_KINDS, rollout_alarm
from infra.naming import Names
from infra.preflight import PARAMETERS
from infra.release import approval_pattern, cut_off_pattern
from infra.release_function import TIMEOUT_SECONDS
from infra.release_plan import ReleasePlan, function_plan, rollback_alarms
from infra.release_states import ANSWER, STEP_TIMEOUT_SECONDS, release_definition
from infra.serving import MOST_ALARMS, deployment_config, deployment_seconds
from models.load import load
from models.spec import MOST_ROLLBACK_ALARMS, ModelSpec, SpecError
from tests.infra import states
from tests.infra.mocks import ACCOUNT, REGION, deploy, standard
from tests.infra.states import TaskError

NAMES = Names(stack="dev", account_id="123456789012", region="eu-central-1")
ARN = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/upkeep-dev-flights/7"
EVENT = {"detail": {"ModelPackageArn": ARN, "ModelApprovalStatus": "Approved"}}
BASE = "upkeep-dev-flights"


def _spec(**serving: Any) -> ModelSpec:
    return load(["flights"], {"flights": {"serving": serving}})["flights"]


PLAN = ReleasePlan(
    names=NAMES,
    spec=_spec(),
    role_arn="arn:role",
    key_arn="arn:key",
    topic_arn="arn:topic",
    function_arn="arn:function",
    seed_config=f"{BASE}-v0-seed",
    code_key="code/x/code.tar.gz",
    tags={"project": "upkeep"},
)
EMPTY: dict[str, Any] = {
    "do": "", "seconds": 0, "check": {}, "subject": "", "message": "", "error": "", "reason": "",
    "outcome": "", "request": {}, "count": 0,
}  # fmt: skip
LIVE = {"do": "done", "outcome": "live", "subject": "it serves", "message": "all of it"}


def _run(*answers: dict[str, Any] | Exception, **fakes: Any) -> states.Run:
    """An execution whose function gives these answers, one after the other."""
    waiting = list(answers)

    def invoke(parameters: dict[str, Any]) -> dict[str, Any]:
        answer = waiting.pop(0)
        if isinstance(answer, Exception):
            raise answer
        payload = parameters["Payload"]
        return {"Payload": {**EMPTY, "count": payload["count"] + 1, "request": payload["request"], **answer}}

    known = {"invoke": invoke, "publish": lambda _: {}, "createProcessingJob.sync": lambda _: {}}
    return states.execute(release_definition(PLAN), EVENT, {**known, **fakes})


def test_every_state_is_reached_and_leads_somewhere() -> None:
    assert states.faults(release_definition(PLAN)) == []


def test_the_function_is_told_who_asks_for_what_and_how_versions_are_served() -> None:
    done = _run(LIVE)
    (asked,) = done.called("invoke")
    assert asked["FunctionName"] == "arn:function"
    assert asked["Payload"]["execution"] == states.CONTEXT["Execution"]["Id"]
    assert asked["Payload"]["request"] == EVENT
    assert asked["Payload"]["count"] == 0
    assert asked["Payload"]["plan"] == function_plan(PLAN).to_dict()


def test_a_release_that_ends_well_is_told_once() -> None:
    done = _run({"do": "again"}, {"do": "wait", "seconds": 20}, {"do": "again"}, LIVE)
    assert (done.status, done.waited_seconds) == ("SUCCEEDED", 20)
    (told,) = done.called("publish")
    assert told == {"TopicArn": "arn:topic", "Subject": "it serves", "Message": "all of it"}
    assert [asked["Payload"]["count"] for asked in done.called("invoke")] == [0, 1, 2, 3]


def test_what_nobody_has_to_know_is_told_to_nobody() -> None:
    done = _run({"do": "done", "outcome": "nothing"})
    assert (done.status, done.called("publish")) == ("SUCCEEDED", [])


def test_a_release_that_fails_is_told_and_fails_with_its_reason() -> None:
    failed = {"do": "failed", "error": "RolledBack", "reason": "slow", "subject": "s", "message": "m"}
    done = _run(failed)
    assert (done.status, done.error, done.cause) == ("FAILED", "RolledBack", "slow")
    assert len(done.called("publish")) == 1


def test_what_was_pinned_goes_into_the_next_call() -> None:
    pinned = {"operation": "rollback", "away_from": "c2"}
    done = _run({"do": "wait", "seconds": 1, "request": pinned}, LIVE)
    assert done.called("invoke")[1]["Payload"]["request"] == pinned


def test_something_to_tell_on_the_way_is_told_before_the_next_step() -> None:
    done = _run({"do": "tell", "subject": "left behind", "message": "m"}, LIVE)
    assert [told["Subject"] for told in done.called("publish")] == ["left behind", "it serves"]


@pytest.mark.parametrize("outcome", ["good", "broken"])
def test_the_check_runs_with_the_functions_parameters_and_the_function_reads_its_result(outcome: str) -> None:
    job = {name: name.lower() for name in PARAMETERS}

    def run(_: dict[str, Any]) -> dict[str, Any]:
        if outcome == "broken":
            raise TaskError("States.TaskFailed", "the job failed")
        return {}

    done = _run({"do": "check", "check": job}, LIVE, **{"createProcessingJob.sync": run})
    assert done.status == "SUCCEEDED"
    (started,) = done.called("createProcessingJob.sync")
    assert started["ProcessingJobName"] == "processingjobname"


def test_a_function_that_breaks_is_told_with_what_to_do() -> None:
    done = _run(TaskError("Runtime.ImportModuleError", "no module"))
    assert (done.status, done.error) == ("FAILED", "Runtime.ImportModuleError")
    (told,) = done.called("publish")
    assert "recovery" in told["Message"]
    assert len(told["Subject"]) < 100


def test_a_message_that_cannot_be_sent_changes_nothing() -> None:
    def broken(_: dict[str, Any]) -> dict[str, Any]:
        raise TaskError("SNS.InternalErrorException")

    assert _run(LIVE, publish=broken).status == "SUCCEEDED"
    assert _run({**LIVE, "do": "failed", "error": "x", "reason": "y"}, publish=broken).status == "FAILED"


def test_an_outage_of_an_hour_is_waited_for_and_a_mistake_is_not() -> None:
    patient, hasty = release_definition(PLAN)["States"]["Step"]["Retry"]
    assert {"TransientError", "Lambda.TooManyRequestsException", "States.Timeout"} <= set(
        patient["ErrorEquals"]
    )
    seconds = [min(2 * 2**attempt, patient["MaxDelaySeconds"]) for attempt in range(patient["MaxAttempts"])]
    # With full jitter half of it is waited on average.
    assert 1800 < sum(seconds) / 2 < 7200
    assert (hasty["ErrorEquals"], hasty["MaxAttempts"]) == (["States.ALL"], 3)


def test_an_execution_outlives_another_rollout_and_its_own() -> None:
    assert release_definition(PLAN)["TimeoutSeconds"] > 2 * PLAN.patience_seconds
    assert PLAN.patience_seconds > deployment_seconds(PLAN.spec) + release_plan.CHECKS_SECONDS


def test_the_longest_rollout_there_can_be_stays_within_the_history_of_an_execution() -> None:
    longest = replace(PLAN, spec=_spec(rollout="linear", step_percent=14, bake_seconds=3500))
    waited, looks = 0, 0
    while waited < longest.timeout_seconds:
        waited += pause(looks)
        looks += 1
    # Five events of the task, two of the choice, two of the wait.
    assert looks * 9 < 25_000


def test_a_claim_is_taken_from_the_dead_only_when_their_last_call_is_over() -> None:
    assert STEP_TIMEOUT_SECONDS > TIMEOUT_SECONDS > SECONDS
    assert LAST_CALL_SECONDS > TIMEOUT_SECONDS
    assert standard().one("Function", "release-function")["timeout"] == TIMEOUT_SECONDS


def test_the_functions_answer_and_the_machine_have_the_same_keys() -> None:
    select = release_definition(PLAN)["States"]["Step"]["ResultSelector"]
    assert select == {f"{key}.$": f"$.Payload.{key}" for key in ANSWER}
    assert set(ANSWER) == set(EMPTY)


def _routing(spec: ModelSpec) -> dict[str, Any]:
    found: dict[str, Any] = deployment_config(spec, ["a"])["BlueGreenUpdatePolicy"]
    return found


def test_a_canary_gets_its_share_and_everything_bakes_before_the_old_fleet_ends() -> None:
    policy = _routing(_spec(rollout="canary", step_percent=10, bake_seconds=300))
    assert policy["TrafficRoutingConfiguration"] == {
        "Type": "CANARY",
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
        "WaitIntervalInSeconds": 300,
    }
    assert policy["TerminationWaitInSeconds"] == 300


def test_a_linear_rollout_goes_in_equal_steps() -> None:
    policy = _routing(_spec(rollout="linear", step_percent=25, bake_seconds=60))
    assert policy["TrafficRoutingConfiguration"]["Type"] == "LINEAR"
    assert policy["TrafficRoutingConfiguration"]["LinearStepSize"]["Value"] == 25
    # Three steps of a minute, a minute of all of it, and an hour for the instances.
    assert policy["MaximumExecutionTimeoutInSeconds"] == 4 * 60 + 3600


def test_all_at_once_still_bakes() -> None:
    policy = _routing(_spec(rollout="all_at_once", bake_seconds=120))
    assert policy["TrafficRoutingConfiguration"] == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    assert policy["TerminationWaitInSeconds"] == 120


def test_a_rollout_that_aws_would_cut_off_is_refused_when_it_is_declared() -> None:
    with pytest.raises(SpecError, match="make bake_seconds smaller"):
        deployment_config(_spec(rollout="linear", step_percent=10, bake_seconds=3600), [])


@pytest.mark.parametrize("rollout", ["canary", "linear", "all_at_once"])
def test_the_configuration_is_what_the_api_takes(rollout: str) -> None:
    spec = _spec(rollout=rollout)
    model = botocore.session.get_session().get_service_model("sagemaker")
    shape = model.shape_for("DeploymentConfig")
    given = deployment_config(spec, rollback_alarms(BASE, spec))
    assert not ParamValidator().validate(given, shape).has_errors()


def test_every_rollout_is_watched_by_our_alarms_and_those_of_the_spec() -> None:
    spec = _spec(rollback_alarms=["sales-dropped"])
    alarms = deployment_config(spec, rollback_alarms(BASE, spec))["AutoRollbackConfiguration"]["Alarms"]
    ours = [rollout_alarm(BASE, kind) for kind in ROLLOUT_KINDS]
    assert [alarm["AlarmName"] for alarm in alarms] == [*ours, "sales-dropped"]
    assert len(ROLLOUT_KINDS) + MOST_ROLLBACK_ALARMS <= MOST_ALARMS


def test_the_alarms_of_a_rollout_ring_after_a_bad_minute_or_two_slow_ones() -> None:
    declared = {a["name"]: a for a in standard().of("MetricAlarm")}
    for kind in ROLLOUT_KINDS:
        alarm = declared[rollout_alarm("upkeep-test-flights", kind)]
        # One cold worker makes a minute slow, and is no reason to take a release back.
        periods = 2 if kind == "latency" else 1
        assert (alarm["period"], alarm["evaluationPeriods"], alarm["datapointsToAlarm"]) == (
            60,
            periods,
            periods,
        )
    # Set by hand it stays as it was set; the others are quiet without data.
    missing = {
        kind: declared[f"upkeep-test-flights-rollout-{kind}"]["treatMissingData"] for kind in ROLLOUT_KINDS
    }
    assert missing == {
        "5xx": "notBreaching",
        "latency": "notBreaching",
        "quality": "notBreaching",
        "stop": "ignore",
    }


def test_the_plan_is_made_of_the_spec_and_the_stack() -> None:
    plan = function_plan(replace(PLAN, spec=_spec(instance_count=3, capture_percent=0, check_requests=7)))
    assert (plan.instance_count, plan.capture, plan.check_requests) == (3, None, 7)
    assert plan.stop_alarm == f"{BASE}-rollout-stop"
    assert plan.code_uri == "s3://upkeep-dev-artifacts-123456789012/code/x/code.tar.gz"
    assert plan.features[:2] == ("carrier", "origin")


def test_names_of_a_release_fit_with_five_digits_of_version() -> None:
    plan = replace(function_plan(PLAN), base="upkeep-" + "s" * 13 + "-" + "m" * 20)
    assert len(plan.name(99999, {"Image": "i"})) <= 63


def test_another_environment_has_another_name_and_the_same_one_the_same() -> None:
    plan = function_plan(PLAN)
    first, second = ({"Image": "i", "Environment": {"A": value}} for value in ("1", "2"))
    assert plan.name(7, first) == plan.name(7, dict(first))
    assert plan.name(7, first) != plan.name(7, second)


def test_only_an_approval_in_this_models_group_starts_a_release() -> None:
    rule = deploy(stack="dev").one("EventRule", "flights-release-approved-rule")
    assert rule.document("eventPattern") == approval_pattern(BASE)
    assert rule.document("eventPattern")["detail"] == {
        "ModelPackageGroupName": [BASE],
        "ModelApprovalStatus": ["Approved"],
    }


def test_an_execution_that_was_cut_off_has_a_successor_that_cleans_up() -> None:
    deployment = deploy(stack="dev")
    rule = deployment.one("EventRule", "flights-release-cut-off-rule")
    names = Names(stack="dev", account_id=ACCOUNT, region=REGION)
    assert rule.document("eventPattern") == cut_off_pattern(names, "flights")
    # One that failed has ended its rollout itself; starting again after each failure would never end.
    assert rule.document("eventPattern")["detail"]["status"] == ["ABORTED", "TIMED_OUT"]
    target = deployment.one("EventTarget", "flights-release-cut-off-target")
    assert json.loads(target["input"]) == {"operation": "recover", "model": "flights"}


def test_the_function_may_change_this_stacks_endpoints_and_delete_nothing() -> None:
    allowed = standard().allowed("release-policy")
    region = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
    assert allowed["sagemaker:UpdateEndpoint"] == [
        f"{region}:endpoint/upkeep-test-flights",
        f"{region}:endpoint-config/upkeep-test-flights-*",
    ]
    assert allowed["cloudwatch:SetAlarmState"] == [
        f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:upkeep-test-flights-rollout-stop"
    ]
    assert not [action for action in allowed if "Delete" in action]
    assert not [
        action
        for action in allowed
        if action.startswith(("sns:", "states:Start", "sagemaker:CreateEndpoint:"))
    ]


def test_only_the_release_function_may_update_an_endpoint() -> None:
    mighty = [
        policy.name
        for policy in standard().of("RolePolicy")
        if "sagemaker:UpdateEndpoint" in standard().allowed(policy.name)
    ]
    assert mighty == ["release-policy"]


def test_the_machine_may_only_ask_check_and_tell() -> None:
    allowed = set(standard().allowed("flights-release-policy"))
    services = {action for action in allowed if not action.startswith("logs:")}
    assert {action.partition(":")[0] for action in services} == {
        "lambda",
        "sagemaker",
        "iam",
        "events",
        "sns",
        "kms",
    }
    assert {a for a in services if a.startswith("sagemaker:")} == {
        "sagemaker:AddTags", "sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob",
        "sagemaker:ListTags", "sagemaker:StopProcessingJob",
    }  # fmt: skip


def test_sagemaker_may_see_the_alarms_that_take_a_rollout_back() -> None:
    deployment = deploy({"overrides": {"flights": {"serving": {"rollback_alarms": ["sales-dropped"]}}}})
    seen = deployment.allowed("flights-policy")["cloudwatch:DescribeAlarms"]
    names = [arn.rpartition(":")[2] for arn in seen]
    assert names == [*(rollout_alarm("upkeep-test-flights", kind) for kind in ROLLOUT_KINDS), "sales-dropped"]
