"""All resource types by token."""

from __future__ import annotations

from . import alarms, events, iam, kms, lambdas, logs, s3, s3_objects, sagemaker, sns, sqs, stepfunctions
from .kinds import Kind

_MODULES = (alarms, events, iam, kms, lambdas, logs, s3, s3_objects, sagemaker, sns, sqs, stepfunctions)

KINDS: dict[str, Kind] = {kind.type: kind for module in _MODULES for kind in module.KINDS}
