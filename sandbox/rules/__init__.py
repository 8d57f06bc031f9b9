"""Rules of the AWS services that botocore's models do not carry; each module names its pages."""

from __future__ import annotations

from sandbox.calls import Call
from sandbox.rules import cloudwatch, events, lambdas, logs, s3, sns, sqs, stepfunctions
from sandbox.rules.rule import Broken

_BY_SERVICE = {
    "cloudwatch": cloudwatch.RULES,
    "events": events.RULES,
    "lambda": lambdas.RULES,
    "logs": logs.RULES,
    "s3": s3.RULES,
    "scheduler": events.RULES,
    "sns": sns.RULES,
    "sqs": sqs.RULES,
    "stepfunctions": stepfunctions.RULES,
}


def check(call: Call) -> Broken:
    """The (code, message) AWS refuses a call with, or None."""
    rule = _BY_SERVICE.get(call.service, {}).get(call.operation)
    return rule(call.params) if rule else None
