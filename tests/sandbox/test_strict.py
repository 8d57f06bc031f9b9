from __future__ import annotations

import base64
import contextlib
import io
import json
import zipfile
from typing import Any

import botocore.session
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import asl, calls, schedules, strict
from sandbox.calls import Call, Request

ROLE = "arn:aws:iam::000000000000:role/r"
WIRES = {"json": "json", "query": "query", "rest-json": "rest-json", "rest-xml": "rest-xml"}


def check(service: str, operation: str, **params: Any) -> strict.Refusal | None:
    wire = calls.service_model(service).metadata["protocol"]
    return strict.check(Call(service, operation, "json" if wire == "smithy-rpc-v2-cbor" else wire, params))


def refused(service: str, operation: str, **params: Any) -> strict.Refusal:
    refusal = check(service, operation, **params)
    assert refusal is not None, f"{operation} was let through"
    return refusal


# ----------------------------------------------------------------------------------------- the model's limits

MODEL: dict[str, Any] = {"ModelName": "m", "ExecutionRoleArn": ROLE}
QUEUE: dict[str, Any] = {"QueueName": "q"}


@pytest.mark.parametrize(
    ("service", "operation", "params", "constraint"),
    [
        (
            "sagemaker",
            "CreateModel",
            MODEL | {"ModelName": "a_b"},
            "at 'modelName' failed to satisfy constraint: Member must satisfy regular expression pattern",
        ),
        ("sagemaker", "CreateModel", MODEL | {"ModelName": "a" * 64}, "length less than or equal to 63"),
        (
            "sagemaker",
            "CreateModel",
            MODEL | {"ExecutionRoleArn": "arn:aws:iam::1"},
            "length greater than or equal to 20",
        ),
        (
            "sagemaker",
            "CreateModel",
            {},
            "Value null at 'modelName' failed to satisfy constraint: Member must not be null",
        ),
        (
            "sagemaker",
            "CreateModel",
            MODEL | {"PrimaryContainer": {"Image": "with space"}},
            "at 'primaryContainer.image'",
        ),
        (
            "sagemaker",
            "CreateModel",
            MODEL | {"PrimaryContainer": {"Mode": "Both"}},
            "Member must satisfy enum value set: [SingleModel, MultiModel]",
        ),
        (
            "sagemaker",
            "CreateModel",
            MODEL | {"PrimaryContainer": {"Environment": {"a b": "c"}}},
            "Map keys must satisfy constraint: [Member must satisfy regular expression pattern",
        ),
        (
            "sagemaker",
            "CreateModel",
            MODEL | {"VpcConfig": {"SecurityGroupIds": ["no spaces!"], "Subnets": ["s"]}},
            "Member must satisfy constraint: [Member must satisfy regular expression pattern",
        ),
        (
            "sagemaker",
            "CreateEndpointConfig",
            {
                "EndpointConfigName": "c",
                "ProductionVariants": [{"VariantName": "v" * 64, "ModelName": "m"}],
            },
            "at 'productionVariants.1.member.variantName'",
        ),
        (
            "sagemaker",
            "CreateEndpointConfig",
            {"EndpointConfigName": "c", "ProductionVariants": [{"VariantName": "v"}] * 11},
            "Member must have length less than or equal to 10",
        ),
        (
            "sagemaker",
            "UpdateEndpointWeightsAndCapacities",
            {
                "EndpointName": "e",
                "DesiredWeightsAndCapacities": [{"VariantName": "v", "DesiredWeight": -1.0}],
            },
            "value greater than or equal to 0",
        ),
        ("sagemaker", "ListModels", {"MaxResults": 101}, "value less than or equal to 100"),
        (
            "lambda",
            "CreateFunction",
            {"FunctionName": "f", "Role": ROLE, "Code": {}, "Timeout": 901},
            "at 'timeout'",
        ),
        (
            "lambda",
            "CreateFunction",
            {"FunctionName": "f", "Role": ROLE, "Code": {}, "MemorySize": 1},
            "at 'memorySize'",
        ),
        ("events", "PutRule", {"Name": "a b", "ScheduleExpression": "rate(1 day)"}, "at 'name'"),
        ("logs", "CreateLogGroup", {"logGroupName": "a b"}, "at 'logGroupName'"),
        ("kms", "CreateAlias", {"AliasName": "x y", "TargetKeyId": "k"}, "at 'aliasName'"),
        ("iam", "CreateRole", {"RoleName": "a b", "AssumeRolePolicyDocument": "{}"}, "at 'roleName'"),
        ("cloudwatch", "PutMetricData", {"Namespace": "", "MetricData": []}, "at 'namespace'"),
        ("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e_", "Body": b""}, "at 'endpointName'"),
        ("sqs", "CreateQueue", QUEUE | {"Attributes": {"Colour": "red"}}, "Map keys must satisfy constraint"),
    ],
)
def test_what_the_model_forbids_is_refused_in_awss_words(
    service: str, operation: str, params: dict[str, Any], constraint: str
) -> None:
    assert constraint in refused(service, operation, **params).message


def test_all_problems_of_a_call_are_reported_together() -> None:
    refusal = refused("sagemaker", "CreateModel", ModelName="a_b", ExecutionRoleArn="x")
    assert refusal.code == "ValidationException"
    assert refusal.message.startswith("3 validation errors detected: ")


@pytest.mark.parametrize(
    ("service", "operation", "params", "code"),
    [
        ("iam", "CreateRole", {}, "ValidationError"),
        ("logs", "CreateLogGroup", {}, "InvalidParameterException"),
        ("lambda", "CreateFunction", {}, "ValidationException"),
        ("sagemaker-runtime", "InvokeEndpoint", {}, "ValidationError"),
    ],
)
def test_each_service_refuses_with_its_own_code(
    service: str, operation: str, params: dict[str, Any], code: str
) -> None:
    assert refused(service, operation, **params).code == code


@pytest.mark.parametrize(
    ("value", "found"),
    [("text", "STRING_VALUE"), (True, "BOOLEAN_VALUE"), (1.5, "NUMBER_VALUE"), ([], "START_ARRAY")],
)
def test_a_value_of_another_type_is_a_serialization_error(value: Any, found: str) -> None:
    refusal = refused("sagemaker", "ListModels", MaxResults=value)
    assert refusal == strict.Refusal("SerializationException", f"{found} can not be converted to Integer")


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("sagemaker", "CreateModel", MODEL),
        ("sagemaker", "ListModels", {"MaxResults": 10.0, "CreationTimeAfter": 1_700_000_000}),
        ("sagemaker", "ListModels", {"NameContains": None}),
        ("sagemaker", "CreateModelPackage", {"ModelPackageGroupName": "g"}),
        ("sqs", "CreateQueue", QUEUE | {"Attributes": {"VisibilityTimeout": "43200"}}),
        ("s3", "CreateBucket", {"Bucket": "upkeep-dev-data-000000000000"}),
    ],
)
def test_a_well_formed_call_passes(service: str, operation: str, params: dict[str, Any]) -> None:
    assert check(service, operation, **params) is None


# ------------------------------------------------------------------------------------- rules beside the model


def alarm(**more: Any) -> dict[str, Any]:
    base = {
        "AlarmName": "a",
        "Namespace": "n",
        "MetricName": "m",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    return {name: value for name, value in (base | more).items() if value is not None}


def function(**more: Any) -> dict[str, Any]:
    return {"FunctionName": "f", "Role": ROLE, "Code": {}} | more


def zipped(size: int) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content, content.open("x", "w") as entry:
        for _ in range(size // 2**20):
            entry.write(bytes(2**20))
    return base64.b64encode(archive.getvalue()).decode()


EDGES: list[tuple[str, str, dict[str, Any], dict[str, Any], str]] = [
    ("s3", "CreateBucket", {"Bucket": "a.b"}, {"Bucket": "a..b"}, "InvalidBucketName"),
    ("s3", "CreateBucket", {"Bucket": "abc"}, {"Bucket": "ab"}, "InvalidBucketName"),
    ("s3", "CreateBucket", {"Bucket": "a" * 63}, {"Bucket": "a" * 64}, "InvalidBucketName"),
    ("s3", "CreateBucket", {"Bucket": "good"}, {"Bucket": "Bad_Bucket"}, "InvalidBucketName"),
    ("s3", "CreateBucket", {"Bucket": "10.0.0.1-x"}, {"Bucket": "10.0.0.1"}, "InvalidBucketName"),
    ("s3", "CreateBucket", {"Bucket": "s3alias"}, {"Bucket": "x-s3alias"}, "InvalidBucketName"),
    ("sqs", "CreateQueue", {"QueueName": "q" * 80}, {"QueueName": "q" * 81}, "InvalidParameterValue"),
    ("sqs", "CreateQueue", {"QueueName": "q.fifo"}, {"QueueName": "q.other"}, "InvalidParameterValue"),
    *[
        (
            "sqs",
            "CreateQueue",
            QUEUE | {"Attributes": {name: str(good)}},
            QUEUE | {"Attributes": {name: str(bad)}},
            "InvalidAttributeValue",
        )
        for name, good, bad in [
            ("VisibilityTimeout", 43_200, 43_201),
            ("VisibilityTimeout", 0, -1),
            ("MessageRetentionPeriod", 60, 59),
            ("MessageRetentionPeriod", 1_209_600, 1_209_601),
            ("ReceiveMessageWaitTimeSeconds", 20, 21),
            ("DelaySeconds", 900, 901),
            ("MaximumMessageSize", 1024, 1023),
            ("MaximumMessageSize", 1_048_576, 1_048_577),
            ("KmsDataKeyReusePeriodSeconds", 60, 59),
        ]
    ],
    (
        "sqs",
        "SetQueueAttributes",
        {"QueueUrl": "u", "Attributes": {"RedrivePolicy": '{"maxReceiveCount": 1000}'}},
        {"QueueUrl": "u", "Attributes": {"RedrivePolicy": '{"maxReceiveCount": 1001}'}},
        "InvalidParameterValue",
    ),
    (
        "sqs",
        "ReceiveMessage",
        {"QueueUrl": "u", "MaxNumberOfMessages": 10},
        {"QueueUrl": "u", "MaxNumberOfMessages": 11},
        "InvalidParameterValue",
    ),
    (
        "sqs",
        "ReceiveMessage",
        {"QueueUrl": "u", "WaitTimeSeconds": 20},
        {"QueueUrl": "u", "WaitTimeSeconds": 21},
        "InvalidParameterValue",
    ),
    (
        "sqs",
        "SendMessageBatch",
        {"QueueUrl": "u", "Entries": [{"Id": "1", "MessageBody": "m"}] * 10},
        {"QueueUrl": "u", "Entries": [{"Id": "1", "MessageBody": "m"}] * 11},
        "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
    ),
    ("sns", "CreateTopic", {"Name": "t" * 256}, {"Name": "t" * 257}, "InvalidParameter"),
    ("sns", "CreateTopic", {"Name": "t"}, {"Name": "a b"}, "InvalidParameter"),
    ("cloudwatch", "PutMetricAlarm", alarm(Period=10), alarm(Period=15), "ValidationError"),
    ("cloudwatch", "PutMetricAlarm", alarm(Period=120), alarm(Period=90), "ValidationError"),
    (
        "cloudwatch",
        "PutMetricAlarm",
        alarm(Period=60, EvaluationPeriods=1440),
        alarm(Period=60, EvaluationPeriods=1441),
        "ValidationError",
    ),
    (
        "cloudwatch",
        "PutMetricAlarm",
        alarm(Period=3600, EvaluationPeriods=168),
        alarm(Period=3600, EvaluationPeriods=169),
        "ValidationError",
    ),
    (
        "cloudwatch",
        "PutMetricAlarm",
        alarm(EvaluationPeriods=3, DatapointsToAlarm=3),
        alarm(EvaluationPeriods=3, DatapointsToAlarm=4),
        "ValidationError",
    ),
    ("cloudwatch", "PutMetricAlarm", alarm(), alarm(ExtendedStatistic="p99"), "ValidationError"),
    ("cloudwatch", "PutMetricAlarm", alarm(), alarm(Namespace=None), "ValidationError"),
    (
        "cloudwatch",
        "PutMetricAlarm",
        alarm(TreatMissingData="notBreaching"),
        alarm(TreatMissingData="never"),
        "ValidationError",
    ),
    (
        "cloudwatch",
        "PutMetricData",
        {"Namespace": "Mine", "MetricData": [{"MetricName": "m", "Value": 1.0}]},
        {"Namespace": "AWS/Lambda", "MetricData": [{"MetricName": "m", "Value": 1.0}]},
        "InvalidParameterValue",
    ),
    (
        "logs",
        "PutRetentionPolicy",
        {"logGroupName": "g", "retentionInDays": 30},
        {"logGroupName": "g", "retentionInDays": 31},
        "InvalidParameterException",
    ),
    (
        "events",
        "PutRule",
        {"Name": "r", "ScheduleExpression": "rate(5 minutes)"},
        {"Name": "r", "ScheduleExpression": "rate(0 hours)"},
        "ValidationException",
    ),
    (
        "events",
        "PutRule",
        {"Name": "r", "EventPattern": '{"source": ["a"]}'},
        {"Name": "r"},
        "ValidationException",
    ),
    (
        "events",
        "PutRule",
        {"Name": "r", "EventPattern": '{"detail": {"a": [1]}}'},
        {"Name": "r", "EventPattern": '{"detail": {"a": 1}}'},
        "InvalidEventPatternException",
    ),
    (
        "dynamodb",
        "PutItem",
        {"TableName": "t", "Item": {"pk": {"S": "a"}}, "ReturnValues": "ALL_OLD"},
        {"TableName": "t", "Item": {"pk": {"S": "a"}}, "ReturnValues": "SOME"},
        "ValidationException",
    ),
    (
        "dynamodb",
        "TransactWriteItems",
        {"TransactItems": [{"Delete": {"TableName": "t", "Key": {"pk": {"S": "a"}}}}]},
        {"TransactItems": []},
        "ValidationException",
    ),
    (
        "scheduler",
        "CreateSchedule",
        {
            "Name": "s",
            "ScheduleExpression": "at(2026-01-31T00:00:00)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {"Arn": "a", "RoleArn": ROLE},
        },
        {
            "Name": "s",
            "ScheduleExpression": "at(2026-02-31T00:00:00)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {"Arn": "a", "RoleArn": ROLE},
        },
        "ValidationException",
    ),
    (
        "lambda",
        "CreateFunction",
        function(Environment={"Variables": {"KEY": "x" * 4000}}),
        function(Environment={"Variables": {"KEY": "x" * 4096}}),
        "InvalidParameterValueException",
    ),
    (
        "lambda",
        "CreateFunction",
        function(Environment={"Variables": {"MINE": "x"}}),
        function(Environment={"Variables": {"AWS_REGION": "x"}}),
        "InvalidParameterValueException",
    ),
    (
        "lambda",
        "CreateEventSourceMapping",
        {
            "FunctionName": "f",
            "EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:q",
            "BatchSize": 100,
            "MaximumBatchingWindowInSeconds": 1,
        },
        {"FunctionName": "f", "EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:q", "BatchSize": 11},
        "InvalidParameterValueException",
    ),
]


@pytest.mark.parametrize(("service", "operation", "good", "bad", "code"), EDGES)
def test_a_documented_limit_holds_at_its_edge(
    service: str, operation: str, good: dict[str, Any], bad: dict[str, Any], code: str
) -> None:
    assert check(service, operation, **good) is None
    assert refused(service, operation, **bad).code == code


def test_a_function_may_not_unpack_to_more_than_250_mb() -> None:
    refusal = refused("lambda", "CreateFunction", **function(Code={"ZipFile": zipped(251 * 2**20)}))
    assert "Unzipped size must be smaller than 262144000 bytes" in refusal.message


def test_code_that_is_no_archive_is_refused() -> None:
    refusal = refused(
        "lambda", "CreateFunction", **function(Code={"ZipFile": base64.b64encode(b"no").decode()})
    )
    assert "Could not unzip uploaded file" in refusal.message


# -------------------------------------------------------------------------------------------------- schedules


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minute)",
        "rate(24 hours)",
        "cron(0 12 * * ? *)",
        "cron(0/5 8-17 ? * MON-FRI *)",
        "cron(0 18 L * ? 2026-2030)",
        "cron(15 10 ? * 6L *)",
        "cron(15 10 ? * 6#3 *)",
        "cron(0 8 1,15W * ? *)",
        "cron(*/10 * * * ? *)",
    ],
)
def test_a_documented_schedule_is_valid(expression: str) -> None:
    assert schedules.is_valid(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minutes)",
        "rate(2 minute)",
        "rate(0 days)",
        "rate(1 week)",
        "rate(1.5 hours)",
        "cron(0 12 * * * *)",
        "cron(0 12 ? * ? *)",
        "cron(60 12 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 12 * * ?)",
        "cron(0/0 12 * * ? *)",
        "cron(0 12 32 * ? *)",
        "cron(0 12 * JEN ? *)",
        "cron(\u00b2 12 * * ? *)",
        "at(2026-01-01T00:00:00)",
        "daily",
        "",
    ],
)
def test_another_schedule_is_not(expression: str) -> None:
    assert not schedules.is_valid(expression)


# --------------------------------------------------------------------------------------------- state machines

GOOD = {
    "StartAt": "Try",
    "States": {
        "Try": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
            "Parameters": {
                "TrainingJobName.$": "States.Format('a-{}', $.x)",
                "RoleArn.$": "$$.Execution.Name",
            },
            "Retry": [{"ErrorEquals": ["States.Timeout"]}, {"ErrorEquals": ["States.ALL"]}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Lost"}],
            "Next": "Which",
        },
        "Which": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.a", "IsPresent": True, "Next": "Both"}],
            "Default": "Nap",
        },
        "Nap": {"Type": "Wait", "Seconds": 1, "Next": "Each"},
        "Each": {
            "Type": "Map",
            "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}},
            "Next": "Done",
        },
        "Both": {
            "Type": "Parallel",
            "Branches": [{"StartAt": "Q", "States": {"Q": {"Type": "Pass", "End": True}}}],
            "Next": "Done",
        },
        "Lost": {"Type": "Fail", "Error": "E", "Cause": "C"},
        "Done": {"Type": "Succeed"},
    },
}


def changed(path: str, value: Any) -> str:
    """The good definition with one place changed; None removes it."""
    machine = json.loads(json.dumps(GOOD))
    *parents, last = path.split("/")
    place: Any = machine
    for part in parents:
        place = place[int(part) if isinstance(place, list) else part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return json.dumps(machine)


def test_a_good_definition_has_no_problems() -> None:
    assert asl.problems(json.dumps(GOOD)) == []


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("StartAt", "Nowhere", "Missing 'StartAt' target: Nowhere. at /StartAt"),
        ("StartAt", None, "These fields are required: [StartAt]"),
        ("States/Try/Next", "Nowhere", "Missing 'Next' target: Nowhere. at /States/Try/Next"),
        (
            "States/Try/Catch/0/Next",
            "Nowhere",
            "Missing 'Next' target: Nowhere. at /States/Try/Catch[0]/Next",
        ),
        ("States/Which/Default", "Nowhere", "Missing 'Next' target: Nowhere. at /States/Which/Default"),
        ("States/Which/Choices/0/Next", "Nowhere", "at /States/Which/Choices[0]/Next"),
        ("States/Alone", {"Type": "Succeed"}, 'State "Alone" is not reachable. at /States/Alone'),
        ("States/Nap/Type", "Sleep", "Value is not a valid state type"),
        ("States/Nap/Seconds", None, "A Wait state has exactly one of"),
        ("States/Nap/Next", None, "A state has either Next or End"),
        ("States/Nap/Secondes", 1, "Field is not supported. at /States/Nap/Secondes"),
        ("States/Try/Resource", None, "These fields are required: [Resource]"),
        ("States/Try/Resource", "lambda", "The resource provided lambda is not recognized"),
        ("States/Try/Resource", "arn:aws:states:::sagemaker:createModelPackage", "is not recognized"),
        ("States/Try/Resource", "arn:aws:states:::sagemaker:createModel.sync", "is not recognized"),
        ("States/Try/Parameters/RoleArn.$", "role", "must be a valid JSONPath"),
        (
            "States/Try/Retry/0/ErrorEquals",
            ["States.ALL"],
            "States.ALL must stand alone, and in the last place",
        ),
        ("States/Both/Branches/0/StartAt", "R", "at /States/Both/Branches[0]/StartAt"),
        ("States/Each/ItemProcessor/States/P/End", None, "at /States/Each/ItemProcessor/States/P"),
    ],
)
def test_a_broken_definition_is_refused_with_the_place(path: str, value: Any, problem: str) -> None:
    refusal = refused(
        "stepfunctions", "CreateStateMachine", name="x", roleArn=ROLE, definition=changed(path, value)
    )
    assert refusal.code == "InvalidDefinition"
    assert problem in refusal.message


def test_a_definition_that_is_no_json_is_refused() -> None:
    assert asl.problems("{")[0].startswith("INVALID_JSON_DESCRIPTION")


# ------------------------------------------------------------------------------------------- reading requests


@pytest.mark.parametrize(
    ("request_", "operation", "params"),
    [
        (Request("GET", "/", {}, {}), "ListBuckets", {}),
        (Request("PUT", "/b", {}, {}), "CreateBucket", {"Bucket": "b"}),
        (Request("PUT", "/b/k/l", {}, {}), "PutObject", {"Bucket": "b", "Key": "k/l"}),
        (Request("GET", "/b", {"list-type": ["2"]}, {}), "ListObjectsV2", {"Bucket": "b"}),
        (Request("PUT", "/b/k", {}, {"x-amz-copy-source": "/a/k"}), "CopyObject", None),
        (Request("PUT", "/b/k", {"partNumber": ["1"], "uploadId": ["u"]}, {}), "UploadPart", None),
        (Request("POST", "/b/k", {"uploads": [""]}, {}), "CreateMultipartUpload", None),
        (Request("GET", "/b", {"versioning": [""]}, {}), "GetBucketVersioning", {"Bucket": "b"}),
    ],
)
def test_an_s3_request_is_read_as_its_operation(
    request_: Request, operation: str, params: dict[str, Any] | None
) -> None:
    call = calls.read("s3", request_)
    assert call is not None
    assert call.operation == operation
    assert params is None or call.params == params


def test_a_bad_value_in_an_xml_body_is_refused() -> None:
    body = b"<VersioningConfiguration><Status>On</Status></VersioningConfiguration>"
    call = calls.read("s3", Request("PUT", "/b", {"versioning": [""]}, {}, body))
    assert call is not None
    refusal = strict.check(call)
    assert refusal is not None
    assert "enum value set: [Enabled, Suspended]" in refusal.message


def test_a_query_request_is_read_with_its_lists() -> None:
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    body = b"Action=TagRole&Version=2010-05-08&RoleName=r&Tags.member.1.Key=a&Tags.member.1.Value=b"
    call = calls.read("iam", Request("POST", "/", {}, headers, body))
    assert call == Call("iam", "TagRole", "query", {"RoleName": "r", "Tags": [{"Key": "a", "Value": "b"}]})


def test_a_rest_request_is_read_from_path_query_header_and_body() -> None:
    headers = {"x-amz-invocation-type": "Event"}
    call = calls.read("lambda", Request("POST", "/2015-03-31/functions/f/invocations", {}, headers, b"{}"))
    assert call is not None
    assert call.params == {"FunctionName": "f", "InvocationType": "Event", "Payload": b"{}"}


def test_a_body_that_is_no_json_is_unreadable() -> None:
    target = {"x-amz-target": "SageMaker.ListModels"}
    with pytest.raises(calls.UnreadableError, match="not valid JSON"):
        calls.read("sagemaker", Request("POST", "/", {}, target, b"{"))


# ---------------------------------------------------------------------------------------------- never crashes

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OPERATIONS = [
    ("sagemaker", "CreateTrainingJob"),
    ("sagemaker", "CreateEndpointConfig"),
    ("sagemaker", "CreateModelPackage"),
    ("lambda", "CreateFunction"),
    ("cloudwatch", "PutMetricAlarm"),
    ("events", "PutRule"),
    ("sqs", "CreateQueue"),
    ("stepfunctions", "CreateStateMachine"),
    ("s3", "PutBucketLifecycleConfiguration"),
    ("iam", "CreateRole"),
]


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_value_anywhere_crashes_the_check(service: str, operation: str, data: st.DataObject) -> None:
    members = list(calls.service_model(service).operation_model(operation).input_shape.members)  # type: ignore[union-attr]
    params = data.draw(st.dictionaries(st.sampled_from(members) | st.text(max_size=4), ANYTHING, max_size=6))
    refusal = check(service, operation, **params)
    assert refusal is None or (refusal.code and refusal.message)


@given(definition=st.text(max_size=40) | ANYTHING.map(lambda value: json.dumps(value, default=str)))
@settings(max_examples=150, deadline=None)
def test_no_definition_crashes_the_check(definition: str) -> None:
    assert all(isinstance(problem, str) for problem in asl.problems(definition))


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    path=st.text(max_size=20).map(lambda text: f"/{text}"),
    query=st.dictionaries(
        st.text(max_size=8), st.lists(st.text(max_size=4), min_size=1, max_size=2), max_size=3
    ),
    headers=st.dictionaries(
        st.sampled_from(["content-type", "x-amz-target", "x-amz-acl"]), st.text(max_size=10)
    ),
    body=st.binary(max_size=40),
    service=st.sampled_from(
        ["s3", "lambda", "iam", "sqs", "sagemaker", "sagemaker-runtime", "scheduler", "dynamodb"]
    ),
)
@settings(max_examples=200, deadline=None)
def test_no_request_crashes_the_reading(
    method: str, path: str, query: dict[str, list[str]], headers: dict[str, str], body: bytes, service: str
) -> None:
    call = None
    with contextlib.suppress(calls.UnreadableError):
        call = calls.read(service, Request(method, path, query, headers, body))
    if call is not None:
        refusal = strict.check(call)
        assert refusal is None or refusal.message


# Patterns with surrogate ranges, which neither engine here reads; data sets of Athena and Redshift use them.
UNREADABLE = {("sagemaker", name) for name in ("AthenaCatalog", "Catalog", "Database", "TableName")}


def test_the_patterns_that_cannot_be_checked_are_these() -> None:
    found = set()
    for service in (
        "sagemaker",
        "lambda",
        "events",
        "logs",
        "kms",
        "iam",
        "sts",
        "cloudwatch",
        "stepfunctions",
        "s3",
    ):
        description = (
            botocore.session.get_session()
            .get_component("data_loader")
            .load_service_model(service, "service-2")
        )
        for name, shape in description["shapes"].items():
            if "pattern" in shape and strict.compile_pattern(shape["pattern"]) is None:
                found.add((service, name))
    assert found == UNREADABLE


def test_problems_of_a_state_come_in_the_order_they_stand_in() -> None:
    odd = {f"Odd{number}": 1 for number in range(9)}
    found = asl.problems(json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", **odd, "End": True}}}))
    assert [problem.rpartition("/")[2] for problem in found] == list(odd)


def test_a_type_that_is_no_text_is_a_problem_like_any_other() -> None:
    found = asl.problems(json.dumps({"StartAt": "A", "States": {"A": {"Type": ["Pass"]}}}))
    assert "Value is not a valid state type" in found[0]
