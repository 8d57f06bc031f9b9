"""Rules of the AWS services that botocore's models do not carry. Each names the page it is from."""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any

from sandbox import asl, schedules
from sandbox.calls import Call

Broken = tuple[str, str] | None
Params = dict[str, Any]


def check(call: Call) -> Broken:
    """The (code, message) AWS refuses a call with, or None."""
    rule = _RULES.get((call.service, call.operation))
    return rule(call.params) if rule else None


# S3 ---------------------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_BAD_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_BAD_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def _bucket(params: Params) -> Broken:
    name = str(params.get("Bucket", ""))
    good = _BUCKET.fullmatch(name) and not _ADDRESS.fullmatch(name) and ".." not in name
    if good and not name.startswith(_BAD_STARTS) and not name.endswith(_BAD_ENDS):
        return None
    return "InvalidBucketName", f"The specified bucket is not valid: {name}"


# SQS --------------------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html,
# …API_ReceiveMessage.html,
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html

_QUEUE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")
_QUEUE_ATTRIBUTES = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}
_MESSAGE_LIMITS = {
    "DelaySeconds": (0, 900),
    "MaxNumberOfMessages": (1, 10),
    "VisibilityTimeout": (0, 43_200),
    "WaitTimeSeconds": (0, 20),
}
_MAX_RECEIVES = 1000


def _create_queue(params: Params) -> Broken:
    if not _QUEUE_NAME.fullmatch(str(params.get("QueueName", ""))):
        return (
            "InvalidParameterValue",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        )
    return _queue_attributes(params)


def _queue_attributes(params: Params) -> Broken:
    attributes = params.get("Attributes") or {}
    for name, (low, high) in _QUEUE_ATTRIBUTES.items():
        value = attributes.get(name)
        if value is not None and not _within(value, low, high):
            return "InvalidAttributeValue", f"Invalid value for the parameter {name}."
    return _redrive(attributes.get("RedrivePolicy"))


def _redrive(policy: str | None) -> Broken:
    if not policy:
        return None
    try:
        receives = json.loads(policy)["maxReceiveCount"]
    except (ValueError, KeyError, TypeError):
        receives = None
    if receives is not None and _within(receives, 1, _MAX_RECEIVES):
        return None
    return (
        "InvalidParameterValue",
        (
            f"Value {policy} for parameter RedrivePolicy is invalid. Reason: Invalid value for "
            f"maxReceiveCount: {receives}, valid values are from 1 to {_MAX_RECEIVES} both inclusive."
        ),
    )


def _messages(params: Params) -> Broken:
    for name, (low, high) in _MESSAGE_LIMITS.items():
        value = params.get(name)
        if value is not None and not _within(value, low, high):
            return (
                "InvalidParameterValue",
                (
                    f"Value {value} for parameter {name} is invalid. "
                    f"Reason: Must be between {low} and {high}, if provided."
                ),
            )
    return None


def _batch(code: str) -> Callable[[Params], Broken]:
    def rule(params: Params) -> Broken:
        entries = params.get("Entries") or []
        if not entries:
            return f"{code}.EmptyBatchRequest", "There should be at least one entry in the request."
        if len(entries) > 10:
            return (
                f"{code}.TooManyEntriesInBatchRequest",
                f"Maximum number of entries per request are 10. You have sent {len(entries)}.",
            )
        return None

    return rule


def _within(value: Any, low: int, high: int) -> bool:
    try:
        return low <= int(value) <= high
    except (ValueError, TypeError):
        return False


# SNS --------------------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html

_TOPIC_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo")


def _topic(params: Params) -> Broken:
    if _TOPIC_NAME.fullmatch(str(params.get("Name", ""))):
        return None
    return "InvalidParameter", "Invalid parameter: Topic Name"


# CloudWatch -------------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html,
# …API_PutMetricData.html

_SHORT_PERIODS = (10, 20, 30)
_DAY_SECONDS, _WEEK_SECONDS, _HOUR_SECONDS = 86_400, 604_800, 3600
_MISSING_DATA = ("breaching", "notBreaching", "ignore", "missing")
_MAX_METRIC_VALUE = 2.0**360


def _alarm(params: Params) -> Broken:
    problem = _alarm_metric(params) or _alarm_time(params)
    treatment = params.get("TreatMissingData")
    if problem is None and treatment is not None and treatment not in _MISSING_DATA:
        problem = (
            f"The value {treatment} for parameter TreatMissingData is not one of {', '.join(_MISSING_DATA)}"
        )
    return ("ValidationError", problem) if problem else None


def _alarm_metric(params: Params) -> str | None:
    if "Metrics" in params:
        clash = [
            name
            for name in ("MetricName", "Namespace", "Statistic", "Period", "Dimensions")
            if params.get(name)
        ]
        return f"Metrics cannot be given together with {', '.join(clash)}" if clash else None
    missing = [name for name in ("MetricName", "Namespace", "Period") if not params.get(name)]
    if missing:
        return f"{', '.join(missing)} must be given for an alarm on a metric"
    if ("Statistic" in params) == ("ExtendedStatistic" in params):
        return "Exactly one of Statistic and ExtendedStatistic must be given"
    return None


def _alarm_time(params: Params) -> str | None:
    period, count = int(params.get("Period") or 60), int(params.get("EvaluationPeriods") or 1)
    if period not in _SHORT_PERIODS and period % 60:
        return f"The Period {period} is invalid: valid values are 10, 20, 30 and any multiple of 60"
    longest = _WEEK_SECONDS if period >= _HOUR_SECONDS else _DAY_SECONDS
    if period * count > longest:
        return f"Metrics cannot be checked across more than {longest} seconds (EvaluationPeriods * Period)"
    points = params.get("DatapointsToAlarm")
    if points is not None and int(points) > count:
        return f"DatapointsToAlarm {points} must not be greater than EvaluationPeriods {count}"
    return None


def _metric_data(params: Params) -> Broken:
    if str(params.get("Namespace", "")).startswith("AWS/"):
        return "InvalidParameterValue", "The value AWS/ for parameter Namespace is invalid."
    for datum in params.get("MetricData") or []:
        numbers = [datum.get("Value"), *(datum.get("Values") or [])]
        bad = [number for number in numbers if number is not None and not is_metric_value(number)]
        if bad:
            return "InvalidParameterValue", f"The value {bad[0]} for parameter MetricData is invalid."
    return None


def is_metric_value(number: float) -> bool:
    """Whether CloudWatch takes the number as the value of a metric."""
    return abs(number) <= _MAX_METRIC_VALUE  # neither NaN nor infinity is


# CloudWatch Logs --------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html

_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731)
_LONG_RETENTION_DAYS = (1096, 1827, 2192, 2557, 2922, 3288, 3653)


def _retention(params: Params) -> Broken:
    days, allowed = params.get("retentionInDays"), (*_RETENTION_DAYS, *_LONG_RETENTION_DAYS)
    if days in allowed:
        return None
    return (
        "InvalidParameterException",
        (
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(map(str, allowed))}]"
        ),
    )


# EventBridge ------------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html


def _event_rule(params: Params) -> Broken:
    pattern, schedule = params.get("EventPattern"), params.get("ScheduleExpression")
    if not pattern and not schedule:
        return "ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified."
    if schedule and not schedules.is_valid(schedule):
        return "ValidationException", "Parameter ScheduleExpression is not valid."
    return _event_pattern(pattern) if pattern else None


def _event_pattern(pattern: str) -> Broken:
    """A pattern is an object whose leaves are lists."""
    try:
        parsed = json.loads(pattern)
    except (ValueError, RecursionError) as error:
        return "InvalidEventPatternException", f"Event pattern is not valid. Reason: {error}"
    if not isinstance(parsed, dict) or not parsed:
        return "InvalidEventPatternException", "Event pattern is not valid. Reason: Filter is not an object"
    leaf = _bad_leaf(parsed)
    if leaf is None:
        return None
    return (
        "InvalidEventPatternException",
        f'Event pattern is not valid. Reason: "{leaf}" must be an object or an array',
    )


def _bad_leaf(pattern: dict[str, Any]) -> str | None:
    for name, value in pattern.items():
        if isinstance(value, dict):
            if (inner := _bad_leaf(value)) is not None:
                return inner
        elif not isinstance(value, list) or not value:
            return name
    return None


def _schedule(params: Params) -> Broken:
    expression = str(params.get("ScheduleExpression", ""))
    if schedules.is_valid(expression, one_time=True):
        return None
    return "ValidationException", f"Invalid Schedule Expression {expression}."


# Step Functions ---------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html


def _definition(params: Params) -> Broken:
    if params.get("definition") is None:  # an update may leave it as it is
        return None
    found = asl.problems(str(params["definition"]))
    return ("InvalidDefinition", f"Invalid State Machine Definition: '{', '.join(found)}'") if found else None


# Lambda -----------------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, …/configuration-envvars.html,
# https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html

_MAX_UNZIPPED_BYTES = 262_144_000
_MAX_ENVIRONMENT_BYTES = 4096
_MAX_TIMEOUT_SECONDS = 900
_ENVIRONMENT_REFUSED = (
    "Lambda was unable to configure your environment variables because the environment variables "
    "you have provided"
)
_MAX_UNWINDOWED_BATCH = 10
_RESERVED_VARIABLES = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SECRET_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)


def _function(params: Params) -> Broken:
    return _configuration(params) or _archive(params.get("Code") or {})


def _configuration(params: Params) -> Broken:
    seconds = params.get("Timeout")
    if seconds is not None and seconds > _MAX_TIMEOUT_SECONDS:
        return (
            "ValidationException",
            (
                f"1 validation error detected: Value '{seconds}' at 'timeout' failed to satisfy constraint: "
                f"Member must have value less than or equal to {_MAX_TIMEOUT_SECONDS}"
            ),
        )
    return _environment(params)


def _environment(params: Params) -> Broken:
    variables = (params.get("Environment") or {}).get("Variables") or {}
    reserved = sorted(variables.keys() & _RESERVED_VARIABLES)
    if reserved:
        return (
            "InvalidParameterValueException",
            (
                f"{_ENVIRONMENT_REFUSED} contains reserved keys that are currently not supported for "
                f"modification. Reserved keys used in this request: {', '.join(reserved)}"
            ),
        )
    if len(json.dumps(variables, separators=(",", ":")).encode()) > _MAX_ENVIRONMENT_BYTES:
        return (
            "InvalidParameterValueException",
            f"{_ENVIRONMENT_REFUSED} exceeded the 4KB limit.",
        )
    return None


def _archive(code: Params) -> Broken:
    if not code.get("ZipFile"):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(code["ZipFile"]))) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, binascii.Error, ValueError):
        return (
            "InvalidParameterValueException",
            "Could not unzip uploaded file. Please check your file, then try again.",
        )
    if size > _MAX_UNZIPPED_BYTES:
        return (
            "InvalidParameterValueException",
            f"Unzipped size must be smaller than {_MAX_UNZIPPED_BYTES} bytes (found {size})",
        )
    return None


def _event_source(params: Params) -> Broken:
    window = params.get("MaximumBatchingWindowInSeconds") or 0
    large = int(params.get("BatchSize") or 0) > _MAX_UNWINDOWED_BATCH
    if ":sqs:" in str(params.get("EventSourceArn")) and large and int(window) < 1:
        return (
            "InvalidParameterValueException",
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        )
    return None


_RULES: dict[tuple[str, str], Callable[[Params], Broken]] = {
    ("s3", "CreateBucket"): _bucket,
    ("sqs", "CreateQueue"): _create_queue,
    ("sqs", "SetQueueAttributes"): _queue_attributes,
    ("sqs", "SendMessage"): _messages,
    ("sqs", "ReceiveMessage"): _messages,
    ("sqs", "ChangeMessageVisibility"): _messages,
    ("sqs", "SendMessageBatch"): _batch("AWS.SimpleQueueService"),
    ("sqs", "DeleteMessageBatch"): _batch("AWS.SimpleQueueService"),
    ("sns", "CreateTopic"): _topic,
    ("cloudwatch", "PutMetricAlarm"): _alarm,
    ("cloudwatch", "PutMetricData"): _metric_data,
    ("logs", "PutRetentionPolicy"): _retention,
    ("events", "PutRule"): _event_rule,
    ("scheduler", "CreateSchedule"): _schedule,
    ("scheduler", "UpdateSchedule"): _schedule,
    ("stepfunctions", "CreateStateMachine"): _definition,
    ("stepfunctions", "UpdateStateMachine"): _definition,
    ("lambda", "CreateFunction"): _function,
    ("lambda", "UpdateFunctionConfiguration"): _configuration,
    ("lambda", "UpdateFunctionCode"): _archive,
    ("lambda", "CreateEventSourceMapping"): _event_source,
    ("lambda", "UpdateEventSourceMapping"): _event_source,
}
