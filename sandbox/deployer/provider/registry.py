"""All resource types by token."""

from __future__ import annotations

from . import (
    alarms,
    dynamodb,
    event_sources,
    events,
    iam,
    kms,
    lambdas,
    logs,
    s3,
    s3_lifecycle,
    s3_notifications,
    s3_objects,
    s3_settings,
    sagemaker,
    sns,
    sqs,
    stepfunctions,
)
from .kinds import Kind

_MODULES = (
    alarms,
    dynamodb,
    event_sources,
    events,
    iam,
    kms,
    lambdas,
    logs,
    s3,
    s3_lifecycle,
    s3_notifications,
    s3_objects,
    s3_settings,
    sagemaker,
    sns,
    sqs,
    stepfunctions,
)

KINDS: dict[str, Kind] = {kind.type: kind for module in _MODULES for kind in module.KINDS}
