from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from inference.preflight import prepare
from infra.naming import Names
from infra.preflight import check_state, machine_permissions
from sandbox.lifecycle import ACCOUNT, REGION
from tests.inference.preflight.fakes import FakeS3
from tests.inference.preflight.test_prepare import PLAN
from tests.sandbox.conftest import PREFIX, Client, allow, make_role, policy, trust

# Its sandbox is another one than the shared, so it runs beside the files that use that.
pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("faked")]

SAGEMAKER = "sagemaker.amazonaws.com"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
User = Callable[..., Client]


def refusal(call: Callable[..., Any], **params: Any) -> ClientError:
    with pytest.raises(ClientError) as error:
        call(**params)
    return error.value


def code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def training_job(name: str, role: str, **more: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "RoleArn": role,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    } | more


def passing(role: str, service: str = SAGEMAKER) -> dict[str, Any]:
    return allow("iam:PassRole", role, StringEquals={"iam:PassedToService": service})


# ---------------------------------------------------------------------------------------- SageMaker under IAM


def test_a_user_without_rights_may_not_list_training_jobs(user: User) -> None:
    error = refusal(user()("sagemaker").list_training_jobs)
    assert code(error) == "AccessDeniedException"
    assert "not authorized to perform: sagemaker:ListTrainingJobs" in str(error)


def test_a_user_may_do_what_its_policy_names_and_nothing_else(user: User) -> None:
    sagemaker = user(allow("sagemaker:ListTrainingJobs", "*"))("sagemaker")
    sagemaker.list_training_jobs()
    assert code(refusal(sagemaker.list_models)) == "AccessDeniedException"


def test_a_policy_scoped_to_an_endpoint_allows_that_endpoint_alone(user: User) -> None:
    sagemaker = user(allow("sagemaker:DescribeEndpoint", f"{PREFIX}endpoint/there"))("sagemaker")
    assert sagemaker.describe_endpoint(EndpointName="there")["EndpointStatus"] == "InService"
    error = refusal(sagemaker.describe_endpoint, EndpointName="elsewhere")
    assert f"on resource: {PREFIX}endpoint/elsewhere" in str(error)


def test_invoking_an_endpoint_needs_its_own_action_on_it(user: User) -> None:
    runtime = user(allow("sagemaker:InvokeEndpoint", f"{PREFIX}endpoint/there"))("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName="there", Body=b"1,2", ContentType="text/csv")
    assert answer["Body"].read() == b"there:1,2"
    error = refusal(runtime.invoke_endpoint, EndpointName="other", Body=b"")
    assert "not authorized to perform: sagemaker:InvokeEndpoint" in str(error)


def test_an_endpoints_answer_keeps_the_content_type_of_its_container(user: User) -> None:
    runtime = user(allow("sagemaker:InvokeEndpoint", f"{PREFIX}endpoint/there"))("sagemaker-runtime")
    for content_type in ("application/json", "text/csv"):
        answer = runtime.invoke_endpoint(EndpointName="there", Body=b"{}", ContentType=content_type)
        assert answer["ContentType"] == content_type


@pytest.mark.parametrize("operation", ["create_endpoint", "update_endpoint"])
def test_an_endpoint_is_checked_on_its_configuration_too(user: User, operation: str) -> None:
    action = "sagemaker:" + "".join(part.title() for part in operation.split("_"))
    names = {"EndpointName": "e", "EndpointConfigName": "c"}
    error = refusal(getattr(user(allow(action, f"{PREFIX}endpoint/e"))("sagemaker"), operation), **names)
    assert f"{PREFIX}endpoint-config/c" in str(error)
    both = [f"{PREFIX}endpoint/e", f"{PREFIX}endpoint-config/*"]
    answer = getattr(user(allow(action, both))("sagemaker"), operation)(**names)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_model_package_is_checked_on_its_groups_versions(user: User) -> None:
    package = {"ModelPackageGroupName": "flights", "ModelApprovalStatus": "Approved"}
    statement = allow("sagemaker:CreateModelPackage", f"{PREFIX}model-package/flights/*")
    user(statement)("sagemaker").create_model_package(**package)
    error = refusal(user(statement)("sagemaker").create_model_package, ModelPackageGroupName="others")
    assert code(error) == "AccessDeniedException"


def test_an_approval_can_be_allowed_by_status(user: User) -> None:
    arn = f"{PREFIX}model-package/flights/1"
    condition = {"sagemaker:ModelApprovalStatus": "Rejected"}
    sagemaker = user(allow("sagemaker:UpdateModelPackage", arn, StringEquals=condition))("sagemaker")
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected")
    error = refusal(sagemaker.update_model_package, ModelPackageArn=arn, ModelApprovalStatus="Approved")
    assert code(error) == "AccessDeniedException"


def test_creating_with_tags_needs_the_right_to_tag(faked: Client, user: User) -> None:
    create = allow("sagemaker:CreateModelPackageGroup", f"{PREFIX}model-package-group/g")
    group = {"ModelPackageGroupName": "g", "Tags": [{"Key": "a", "Value": "b"}]}
    error = refusal(user(create)("sagemaker").create_model_package_group, **group)
    assert f"sagemaker:AddTags on resource: {PREFIX}model-package-group/g" in str(error)
    user(create, allow("sagemaker:AddTags", "*"))("sagemaker").create_model_package_group(**group)


# ------------------------------------------------------------------------------------------ roles handed over


def test_a_training_job_needs_the_right_to_hand_over_its_role(faked: Client, user: User) -> None:
    role = make_role(faked, "trainer", SAGEMAKER)
    create = allow("sagemaker:CreateTrainingJob", f"{PREFIX}training-job/*")
    error = refusal(user(create)("sagemaker").create_training_job, **training_job("passing", role))
    assert f"iam:PassRole on resource: {role}" in str(error)
    user(create, passing(role))("sagemaker").create_training_job(**training_job("passing", role))


def test_a_role_may_be_handed_to_the_named_service_only(faked: Client, user: User) -> None:
    role = make_role(faked, "trainer", SAGEMAKER)
    create = allow("sagemaker:CreateTrainingJob", "*")
    sagemaker = user(create, passing(role, "lambda.amazonaws.com"))("sagemaker")
    assert (
        code(refusal(sagemaker.create_training_job, **training_job("elsewhere", role)))
        == "AccessDeniedException"
    )


def test_sagemaker_does_not_take_a_role_that_does_not_trust_it(faked: Client) -> None:
    role = make_role(faked, "runner", "lambda.amazonaws.com")
    error = refusal(faked("sagemaker").create_training_job, **training_job("untrusted", role))
    assert "allows principal 'sagemaker.amazonaws.com' to assume the role" in str(error)


def test_sagemaker_does_not_take_a_role_that_does_not_exist(faked: Client) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/nobody"
    assert "Could not assume role" in str(
        refusal(faked("sagemaker").create_training_job, **training_job("x", role))
    )


def test_a_trust_limited_to_another_account_is_no_trust(faked: Client) -> None:
    role = make_role(faked, "foreign", SAGEMAKER)
    condition = {"aws:SourceAccount": "111111111111"}
    faked("iam").update_assume_role_policy(
        RoleName="foreign", PolicyDocument=trust(SAGEMAKER, StringEquals=condition)
    )
    assert "Could not assume role" in str(
        refusal(faked("sagemaker").create_training_job, **training_job("y", role))
    )


def function(role: str) -> dict[str, Any]:
    return {
        "FunctionName": "f",
        "Role": role,
        "Code": {"ZipFile": b"PK\x05\x06" + bytes(18)},
        "Runtime": "python3.12",
        "Handler": "index.handler",
    }


def test_a_function_needs_the_right_to_hand_over_its_role(faked: Client, user: User) -> None:
    role = make_role(faked, "runner", "lambda.amazonaws.com")
    create = allow("lambda:CreateFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f")
    error = refusal(user(create)("lambda").create_function, **function(role))
    assert f"iam:PassRole on resource: {role}" in str(error)
    user(create, passing(role, "lambda.amazonaws.com"))("lambda").create_function(**function(role))


def test_lambda_does_not_take_a_role_that_does_not_trust_it(faked: Client) -> None:
    error = refusal(faked("lambda").create_function, **function(make_role(faked, "trainer", SAGEMAKER)))
    assert code(error) == "InvalidParameterValueException"
    assert "cannot be assumed by Lambda" in str(error)


# ------------------------------------------------------------------------------- condition keys and resources


def test_metrics_can_be_limited_to_a_namespace(user: User) -> None:
    condition = {"cloudwatch:namespace": "Upkeep"}
    cloudwatch = user(allow("cloudwatch:PutMetricData", "*", StringEquals=condition))("cloudwatch")
    datum = [{"MetricName": "Rows", "Value": 1.0}]
    cloudwatch.put_metric_data(Namespace="Upkeep", MetricData=datum)
    error = refusal(cloudwatch.put_metric_data, Namespace="Other", MetricData=datum)
    assert "not authorized to perform: cloudwatch:PutMetricData" in str(error)


def test_a_rule_of_the_default_bus_is_named_without_the_bus(user: User) -> None:
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/mine"
    events = user(allow(["events:PutRule", "events:ListTargetsByRule"], rule))("events")
    events.put_rule(Name="mine", EventPattern='{"source": ["a"]}')
    events.list_targets_by_rule(Rule="mine")
    assert (
        code(refusal(events.put_rule, Name="other", EventPattern='{"source": ["a"]}'))
        == "AccessDeniedException"
    )


def test_log_policies_match_as_on_aws(user: User) -> None:
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/upkeep/x:*"
    logs = user(allow("logs:*", group))("logs")
    logs.create_log_group(logGroupName="/upkeep/x")
    logs.create_log_stream(logGroupName="/upkeep/x", logStreamName="s")
    assert code(refusal(logs.create_log_group, logGroupName="/upkeep/y")) == "AccessDeniedException"


# --------------------------------------------------------------------------------------------- state machines

TRAINING_RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule"
MANAGED_RULE = allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], TRAINING_RULE)
JOB_RIGHTS = allow(
    [
        "sagemaker:CreateTrainingJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:StopTrainingJob",
        "sagemaker:AddTags",
    ],
    f"{PREFIX}training-job/*",
)


def machine(faked: Client, name: str, task: dict[str, Any], *statements: dict[str, Any]) -> str:
    """A state machine of one task, whose role may do what the statements say."""
    role = make_role(faked, f"{name}-machine", "states.amazonaws.com", *statements)
    definition = {"StartAt": "Do", "States": {"Do": {"Type": "Task", "End": True, **task}}}
    arn: str = faked("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=role
    )["stateMachineArn"]
    return arn


def run(faked: Client, arn: str) -> dict[str, Any]:
    """Start an execution and wait for its end."""
    states = faked("stepfunctions")
    execution = states.start_execution(stateMachineArn=arn, input="{}")["executionArn"]
    return ended(states, execution)


def ended(states: Any, execution: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        description: dict[str, Any] = states.describe_execution(executionArn=execution)
        if description["status"] != "RUNNING":
            return description
        time.sleep(0.05)
    raise AssertionError(f"{execution} still runs")


def sync(faked: Client, name: str) -> dict[str, Any]:
    role = make_role(faked, "trainer", SAGEMAKER)
    return {
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Parameters": training_job(name, role),
    }


def test_run_a_job_waits_for_the_job_and_gives_its_description(faked: Client) -> None:
    trainer = make_role(faked, "trainer", SAGEMAKER)
    arn = machine(faked, "sync-ok", sync(faked, "sync-ok"), JOB_RIGHTS, MANAGED_RULE, passing(trainer))
    result = run(faked, arn)
    assert result["status"] == "SUCCEEDED", result.get("cause")
    output = json.loads(result["output"])
    assert output["TrainingJobStatus"] == "Completed"
    assert isinstance(output["CreationTime"], int)


def test_run_a_job_marks_the_job_as_its_own(faked: Client) -> None:
    trainer = make_role(faked, "trainer", SAGEMAKER)
    arn = machine(faked, "sync-tags", sync(faked, "sync-tags"), JOB_RIGHTS, MANAGED_RULE, passing(trainer))
    run(faked, arn)
    tags = faked("sagemaker").list_tags(ResourceArn=f"{PREFIX}training-job/sync-tags")["Tags"]
    assert {"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"} in tags


def test_a_failed_job_fails_the_task_with_its_description_as_the_cause(faked: Client) -> None:
    trainer = make_role(faked, "trainer", SAGEMAKER)
    arn = machine(faked, "sync-fail", sync(faked, "sync-fail"), JOB_RIGHTS, MANAGED_RULE, passing(trainer))
    result = run(faked, arn)
    assert (result["status"], result["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(result["cause"])["FailureReason"] == "AlgorithmError: told to"


def test_a_task_may_not_train_without_the_right_of_its_role(faked: Client) -> None:
    trainer = make_role(faked, "trainer", SAGEMAKER)
    arn = machine(faked, "sync-no", sync(faked, "sync-no"), MANAGED_RULE, passing(trainer))
    result = run(faked, arn)
    assert result["error"] == "SageMaker.AmazonSageMakerException"
    assert "sync-no-machine" in result["cause"]
    assert "not authorized to perform: sagemaker:CreateTrainingJob" in result["cause"]


def test_a_task_may_not_hand_over_a_role_without_the_right(faked: Client) -> None:
    arn = machine(faked, "sync-pass", sync(faked, "sync-pass"), JOB_RIGHTS, MANAGED_RULE)
    assert "not authorized to perform: iam:PassRole" in run(faked, arn)["cause"]


def test_a_task_may_not_tag_its_job_without_the_right(faked: Client) -> None:
    trainer = make_role(faked, "trainer", SAGEMAKER)
    untagged = allow(["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob"], "*")
    arn = machine(faked, "sync-tag", sync(faked, "sync-tag"), untagged, MANAGED_RULE, passing(trainer))
    assert "sagemaker:AddTags" in run(faked, arn)["cause"]


def test_a_machine_that_waits_for_jobs_needs_the_managed_rule_when_it_is_created(faked: Client) -> None:
    with pytest.raises(ClientError, match="is not authorized to create managed-rule"):
        machine(faked, "sync-rule", sync(faked, "sync-rule"), JOB_RIGHTS)


def test_a_machine_needs_a_role_that_trusts_step_functions(faked: Client) -> None:
    role = make_role(faked, "trainer", SAGEMAKER)
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    error = refusal(
        faked("stepfunctions").create_state_machine, name="x", definition=definition, roleArn=role
    )
    assert code(error) == "AccessDeniedException"


def test_a_stopped_execution_stops_its_job(faked: Client) -> None:
    trainer = make_role(faked, "trainer", SAGEMAKER)
    name = "sync-wait"
    arn = machine(faked, name, sync(faked, name), JOB_RIGHTS, MANAGED_RULE, passing(trainer))
    states = faked("stepfunctions")
    execution = states.start_execution(stateMachineArn=arn, input="{}")["executionArn"]
    job_status(faked, name, "InProgress")
    states.stop_execution(executionArn=execution)
    job_status(faked, name, "Stopped")


def test_a_task_out_of_time_stops_its_job(faked: Client) -> None:
    trainer = make_role(faked, "trainer", SAGEMAKER)
    name = "sync-wait-timeout"
    task = sync(faked, name) | {"TimeoutSeconds": 1}
    arn = machine(faked, name, task, JOB_RIGHTS, MANAGED_RULE, passing(trainer))
    assert run(faked, arn)["error"] == "States.Timeout"
    job_status(faked, name, "Stopped")


def check(faked: Client, name: str, *more: dict[str, Any], **changes: Any) -> str:
    """A machine that runs a check's processing job, with the rights that a release machine has."""
    role = make_role(faked, "trainer", SAGEMAKER)
    names = Names(stack="t", account_id=ACCOUNT, region=REGION)
    state = check_state(names, then="After", on_error="After")
    described = prepare.prepare(FakeS3(), replace(PLAN, job_name=name, role_arn=role, image=IMAGE))
    machine_role = make_role(faked, f"{name}-machine", "states.amazonaws.com", *more)
    states = {"Check": state | changes, "After": {"Type": "Pass", "End": True}}
    definition = {
        "StartAt": "Begin",
        "States": {
            "Begin": {
                "Type": "Pass",
                "Result": {"check": described},
                "ResultPath": "$.result",
                "Next": "Check",
            }
        }
        | states,
    }
    arn: str = faked("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=machine_role
    )["stateMachineArn"]
    return arn


def rights_to_check(faked: Client) -> list[dict[str, Any]]:
    role = make_role(faked, "trainer", SAGEMAKER)
    names = Names(stack="t", account_id=ACCOUNT, region=REGION)
    return [p.statement() for p in machine_permissions(names, "toy", role)]


def test_a_check_waits_for_its_job_with_the_rights_of_a_release(faked: Client) -> None:
    arn = check(faked, "upkeep-t-toy-check-ok", *rights_to_check(faked))
    result = run(faked, arn)
    assert result["status"] == "SUCCEEDED", result.get("cause")
    assert "error" not in json.loads(result["output"])
    job = faked("sagemaker").describe_processing_job(ProcessingJobName="upkeep-t-toy-check-ok")
    assert job["ProcessingJobStatus"] == "Completed"


def test_a_check_whose_job_fails_is_caught_with_the_reason(faked: Client) -> None:
    arn = check(faked, "upkeep-t-toy-check-fail", *rights_to_check(faked))
    error = json.loads(run(faked, arn)["output"])["error"]
    assert error["Error"] == "States.TaskFailed"
    assert json.loads(error["Cause"])["FailureReason"] == "AlgorithmError: told to"


def test_a_check_out_of_time_stops_its_job(faked: Client) -> None:
    name = "upkeep-t-toy-check-wait"
    arn = check(faked, name, *rights_to_check(faked), TimeoutSeconds=1)
    assert json.loads(run(faked, arn)["output"])["error"]["Error"] == "States.Timeout"
    describe = faked("sagemaker").describe_processing_job
    deadline = time.monotonic() + 10
    while describe(ProcessingJobName=name)["ProcessingJobStatus"] != "Stopped":
        assert time.monotonic() < deadline, "the job runs on"
        time.sleep(0.05)


def test_a_machine_that_waits_for_checks_needs_their_own_managed_rule(faked: Client) -> None:
    rights = [s for s in rights_to_check(faked) if s["Sid"] != "WaitForTheCheck"]
    with pytest.raises(ClientError, match="is not authorized to create managed-rule"):
        check(faked, "upkeep-t-toy-check-rule", *rights, MANAGED_RULE)


def job_status(faked: Client, name: str, wanted: str) -> None:
    deadline = time.monotonic() + 10
    status = ""
    while status != wanted:
        assert time.monotonic() < deadline, f"{name} is {status}, not {wanted}"
        time.sleep(0.05)
        try:
            status = faked("sagemaker").describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
        except ClientError:
            status = "missing"


def test_the_sdk_integration_answers_with_times_as_text(faked: Client) -> None:
    task = {
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint",
        "Parameters": {"EndpointName": "there"},
    }
    arn = machine(faked, "sdk-ok", task, allow("sagemaker:DescribeEndpoint", "*"))
    output = json.loads(run(faked, arn)["output"])
    assert output["EndpointStatus"] == "InService"
    assert output["CreationTime"] == "2023-11-14T22:13:20.500Z"


def test_the_sdk_integration_fails_with_the_services_exception(faked: Client) -> None:
    task = {
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint",
        "Parameters": {"EndpointName": "missing"},
    }
    result = run(faked, machine(faked, "sdk-missing", task, allow("sagemaker:DescribeEndpoint", "*")))
    assert result["error"] == "SageMaker.SageMakerException"
    assert "Could not find endpoint" in result["cause"]


def test_the_sdk_integration_runs_under_the_machines_role(faked: Client) -> None:
    task = {
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint",
        "Parameters": {"EndpointName": "there"},
    }
    result = run(faked, machine(faked, "sdk-no", task))
    assert "not authorized to perform: sagemaker:DescribeEndpoint" in result["cause"]


@pytest.mark.parametrize(
    ("resource", "parameters", "action"),
    [
        ("lambda:invoke", {"FunctionName": "f", "Payload": {}}, "lambda:InvokeFunction"),
        ("sns:publish", {"TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:t", "Message": "m"}, "sns:Publish"),
        (
            "events:putEvents",
            {"Entries": [{"Source": "a", "DetailType": "b", "Detail": {}}]},
            "events:PutEvents",
        ),
        ("sqs:sendMessage", {"QueueUrl": "http://localhost/0/q", "MessageBody": "m"}, "sqs:SendMessage"),
    ],
)
def test_other_tasks_need_the_right_of_the_machines_role(
    faked: Client, resource: str, parameters: dict[str, Any], action: str
) -> None:
    task = {"Resource": f"arn:aws:states:::{resource}", "Parameters": parameters}
    result = run(faked, machine(faked, resource.replace(":", "-"), task))
    assert f"not authorized to perform: {action}" in result["cause"]


def test_an_event_is_put_when_the_machines_role_may(faked: Client) -> None:
    entry = {"Source": "a", "DetailType": "b", "Detail": "{}"}
    task = {"Resource": "arn:aws:states:::events:putEvents", "Parameters": {"Entries": [entry]}}
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    assert (
        run(faked, machine(faked, "put-events", task, allow("events:PutEvents", bus)))["status"]
        == "SUCCEEDED"
    )


# ------------------------------------------------------------------------------------------------- deliveries


def queue(faked: Client, name: str, *statements: dict[str, Any], **attributes: str) -> tuple[str, str]:
    """A queue's address and ARN; the statements are its policy."""
    address: str = faked("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    if statements:
        document = policy(*[statement | {"Resource": arn} for statement in statements])
        faked("sqs").set_queue_attributes(QueueUrl=address, Attributes={"Policy": document})
    return address, arn


def sender(service: str, source: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }


def received(faked: Client, address: str, wait: int) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = (
        faked("sqs").receive_message(QueueUrl=address, WaitTimeSeconds=wait).get("Messages", [])
    )
    return messages


def test_a_rule_delivers_to_a_queue_only_when_the_queue_lets_it(faked: Client) -> None:
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/fan"
    addresses = {}
    faked("events").put_rule(Name="fan", EventPattern='{"source": ["fan"]}')
    for name, statements in {
        "fan-open": [sender("events.amazonaws.com", rule)],
        "fan-closed": [],
        "fan-other": [sender("events.amazonaws.com", f"{rule}-other")],
    }.items():
        addresses[name], arn = queue(faked, name, *statements)
        faked("events").put_targets(Rule="fan", Targets=[{"Id": name, "Arn": arn}])
    faked("events").put_events(Entries=[{"Source": "fan", "DetailType": "x", "Detail": "{}"}])
    assert len(received(faked, addresses["fan-open"], 5)) == 1
    assert received(faked, addresses["fan-closed"], 0) == []
    assert received(faked, addresses["fan-other"], 0) == []


def test_a_rule_starts_a_machine_only_when_its_role_may(faked: Client) -> None:
    task = {"Resource": "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint"}
    faked("events").put_rule(Name="starts", EventPattern='{"source": ["starts"]}')
    machines = {}
    for name in ("may", "may-not"):
        machines[name] = machine(faked, f"started-{name}", task)
        statements = [allow("states:StartExecution", machines[name])] if name == "may" else []
        role = make_role(faked, f"starter-{name}", "events.amazonaws.com", *statements)
        faked("events").put_targets(
            Rule="starts", Targets=[{"Id": name, "Arn": machines[name], "RoleArn": role}]
        )
    faked("events").put_events(Entries=[{"Source": "starts", "DetailType": "x", "Detail": "{}"}])
    states = faked("stepfunctions")
    assert len(states.list_executions(stateMachineArn=machines["may"])["executions"]) == 1
    assert states.list_executions(stateMachineArn=machines["may-not"])["executions"] == []


@pytest.mark.parametrize("allowed", [True, False])
def test_an_alarm_tells_a_topic_only_when_its_policy_lets_it(faked: Client, allowed: bool) -> None:
    name = f"told-{allowed}".lower()
    topic = faked("sns").create_topic(Name=name)["TopicArn"]
    service = "cloudwatch.amazonaws.com" if allowed else "budgets.amazonaws.com"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sns:Publish",
        "Resource": topic,
    }
    faked("sns").set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=policy(statement)
    )
    address, arn = queue(faked, name, sender("sns.amazonaws.com", topic))
    faked("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    metric = {"Namespace": "Upkeep", "MetricName": name}
    faked("cloudwatch").put_metric_alarm(**alarm(name, AlarmActions=[topic], **metric))
    faked("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    assert len(received(faked, address, 2)) == allowed


# ------------------------------------------------------------------------------------------------- encryption


def key(faked: Client, *statements: dict[str, Any]) -> str:
    """A key whose use the account's own policies decide, and the statements."""
    root = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    arn: str = faked("kms").create_key(Policy=policy(root, *statements))["KeyMetadata"]["Arn"]
    return arn


def test_an_object_under_a_key_needs_the_key_to_be_written_and_read(faked: Client, user: User) -> None:
    arn = key(faked)
    faked("s3").create_bucket(Bucket="under-a-key")
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}
    faked("s3").put_bucket_encryption(
        Bucket="under-a-key",
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
    )
    objects = allow(["s3:PutObject", "s3:GetObject"], "arn:aws:s3:::under-a-key/*")
    thing = {"Bucket": "under-a-key", "Key": "k"}
    assert "kms:GenerateDataKey" in str(refusal(user(objects)("s3").put_object, **thing, Body=b"x"))
    user(objects, allow("kms:GenerateDataKey", arn))("s3").put_object(**thing, Body=b"x")
    assert f"kms:Decrypt on resource: {arn}" in str(refusal(user(objects)("s3").get_object, **thing))
    through = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}
    decrypt = allow("kms:Decrypt", arn, StringEquals=through)
    assert user(objects, decrypt)("s3").get_object(**thing)["Body"].read() == b"x"


def test_an_object_under_no_key_needs_none(faked: Client, user: User) -> None:
    faked("s3").create_bucket(Bucket="under-no-key")
    s3 = user(allow(["s3:PutObject", "s3:GetObject"], "arn:aws:s3:::under-no-key/*"))("s3")
    s3.put_object(Bucket="under-no-key", Key="k", Body=b"x")
    assert s3.get_object(Bucket="under-no-key", Key="k")["Body"].read() == b"x"


def test_a_message_to_an_encrypted_topic_needs_the_key(faked: Client, user: User) -> None:
    arn = key(faked)
    topic = faked("sns").create_topic(Name="secret", Attributes={"KmsMasterKeyId": arn})["TopicArn"]
    publish = allow("sns:Publish", topic)
    assert "kms:GenerateDataKey" in str(refusal(user(publish)("sns").publish, TopicArn=topic, Message="m"))
    user(publish, allow(["kms:GenerateDataKey", "kms:Decrypt"], arn))("sns").publish(
        TopicArn=topic, Message="m"
    )


@pytest.mark.parametrize("allowed", [True, False])
def test_a_rule_delivers_to_an_encrypted_queue_only_when_the_key_lets_it(
    faked: Client, allowed: bool
) -> None:
    name = f"encrypted-{allowed}".lower()
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
        "Resource": "*",
    }
    arn = key(faked, *([statement] if allowed else []))
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"
    faked("events").put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    address, queue_arn = queue(faked, name, sender("events.amazonaws.com", rule), KmsMasterKeyId=arn)
    faked("events").put_targets(Rule=name, Targets=[{"Id": "1", "Arn": queue_arn}])
    faked("events").put_events(Entries=[{"Source": name, "DetailType": "x", "Detail": "{}"}])
    assert len(received(faked, address, 2)) == allowed


# ---------------------------------------------------------------------------------------------------- polling


def polling(faked: Client, name: str, *statements: dict[str, Any], timeout: int = 30) -> None:
    """A function that polls a queue whose messages stay hidden for 30 s."""
    role = make_role(faked, name, "lambda.amazonaws.com", *statements)
    faked("lambda").create_function(**function(role) | {"FunctionName": name, "Timeout": timeout})
    _, arn = queue(faked, name)
    faked("lambda").create_event_source_mapping(FunctionName=name, EventSourceArn=arn, Enabled=False)


POLLING = allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], "*")


def test_a_function_polls_a_queue_only_when_its_role_may(faked: Client) -> None:
    with pytest.raises(ClientError, match="does not have permissions to call DeleteMessage on SQS"):
        polling(faked, "half", allow("sqs:ReceiveMessage", "*"))
    polling(faked, "whole", POLLING)


def test_a_queue_that_takes_tls_only_can_be_polled(faked: Client) -> None:
    insecure = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    _, arn = queue(faked, "secure", insecure)
    role = make_role(faked, "secure", "lambda.amazonaws.com", POLLING)
    faked("lambda").create_function(**function(role) | {"FunctionName": "secure"})
    mapping = faked("lambda").create_event_source_mapping(
        FunctionName="secure", EventSourceArn=arn, Enabled=False
    )
    assert mapping["EventSourceArn"] == arn


def test_messages_must_stay_hidden_as_long_as_the_function_may_run(faked: Client) -> None:
    with pytest.raises(
        ClientError, match="visibility timeout: 30 seconds is less than Function timeout: 31 seconds"
    ):
        polling(faked, "slow", POLLING, timeout=31)


# ----------------------------------------------------------------------------------------------- alarm events


def test_an_alarm_that_changes_state_puts_an_event(faked: Client) -> None:
    queue = faked("sqs").create_queue(QueueName="alarm-events")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:alarm-events"
    sender = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
    }
    faked("sqs").set_queue_attributes(
        QueueUrl=queue, Attributes={"Policy": policy(sender | {"Resource": arn})}
    )
    pattern = {"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"]}
    faked("events").put_rule(Name="alarms", EventPattern=json.dumps(pattern))
    faked("events").put_targets(Rule="alarms", Targets=[{"Id": "1", "Arn": arn}])
    faked("cloudwatch").put_metric_alarm(
        AlarmName="late",
        Namespace="Upkeep",
        MetricName="Late",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    faked("cloudwatch").set_alarm_state(AlarmName="late", StateValue="ALARM", StateReason="test")
    messages = faked("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    detail = json.loads(messages[0]["Body"])["detail"]
    assert (detail["alarmName"], detail["state"]["value"]) == ("late", "ALARM")


def alarm(name: str, **more: Any) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
    } | more


def await_state(faked: Client, name: str, state: str) -> None:
    deadline = time.monotonic() + 10
    found = ""
    while found != state:
        assert time.monotonic() < deadline, f"{name} is {found}, not {state}"
        time.sleep(0.1)
        found = faked("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]


def test_an_alarm_watches_its_own_dimensions_only(faked: Client) -> None:
    metric = {"Namespace": "Upkeep", "MetricName": "Drift"}
    cloudwatch = faked("cloudwatch")
    for model in ("flights", "taxis"):
        cloudwatch.put_metric_alarm(**alarm(model, Dimensions=[{"Name": "Model", "Value": model}], **metric))
    cloudwatch.put_metric_data(
        Namespace="Upkeep",
        MetricData=[
            {"MetricName": "Drift", "Value": 2.0, "Dimensions": [{"Name": "Model", "Value": "taxis"}]}
        ],
    )
    await_state(faked, "taxis", "ALARM")
    await_state(faked, "flights", "OK")


def test_a_failed_execution_sets_off_an_alarm(faked: Client) -> None:
    arn = machine(faked, "doomed", {"Resource": "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint"})
    dimensions = [{"Name": "StateMachineArn", "Value": arn}]
    faked("cloudwatch").put_metric_alarm(
        **alarm("doomed", Namespace="AWS/States", MetricName="ExecutionsFailed", Dimensions=dimensions)
    )
    run(faked, arn)
    await_state(faked, "doomed", "ALARM")


def test_a_message_in_a_queue_sets_off_an_alarm(faked: Client) -> None:
    queue = faked("sqs").create_queue(QueueName="letters")["QueueUrl"]
    metric = {"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible"}
    dimensions = [{"Name": "QueueName", "Value": "letters"}]
    faked("cloudwatch").put_metric_alarm(
        **alarm("letters", Statistic="Maximum", Dimensions=dimensions, **metric)
    )
    await_state(faked, "letters", "OK")
    faked("sqs").send_message(QueueUrl=queue, MessageBody="lost")
    await_state(faked, "letters", "ALARM")


# ------------------------------------------------------------------------------------------- MiniStack itself


def test_a_moved_seam_is_named() -> None:
    from sandbox.seam import internals

    internals.check()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(internals.RELIED_ON, "core.arn", "parse_arn no_such_name")
        with pytest.raises(RuntimeError, match=r"moved ministack\.core\.arn\.no_such_name; sandbox/seam"):
            internals.check()


def test_a_start_up_that_fails_is_an_error_and_not_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox.seam import emulator

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise OSError("no room")

    monkeypatch.setattr(emulator, "ministack", lambda _module: SimpleNamespace(app=app))
    watch: Any = None
    with pytest.raises(RuntimeError, match="start-up failed") as raised:
        asyncio.run(emulator.Emulator(None, watch).open())
    assert isinstance(raised.value.__cause__, OSError)
