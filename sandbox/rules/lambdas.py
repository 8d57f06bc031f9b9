"""Rules of Lambda.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, …/configuration-envvars.html,
https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import zipfile
from collections.abc import Mapping

from sandbox.rules.rule import Broken, Params, Rule

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


RULES: Mapping[str, Rule] = {
    "CreateFunction": _function,
    "UpdateFunctionConfiguration": _configuration,
    "UpdateFunctionCode": _archive,
    "CreateEventSourceMapping": _event_source,
    "UpdateEventSourceMapping": _event_source,
}
