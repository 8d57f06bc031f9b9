"""The release state machine in the Amazon States Language: ask, wait, run the check, tell people.

The function decides and changes everything (``inference.release``); the machine has no memory but the request
and a counter, and may call the function as often as it likes.
"""

from __future__ import annotations

from typing import Any

from infra import asl
from infra.preflight import check_state
from infra.release_plan import ReleasePlan, function_plan

STEP_TIMEOUT_SECONDS = 150
# What the function answers, see `inference.release.handler.handler`; all of it is always there.
ANSWER = (
    "do", "seconds", "check", "subject", "message", "error", "reason", "outcome", "request", "count",
)  # fmt: skip
# An hour of a control plane that does not answer is waited for: 2, 4, 8, 16, 32 s and then once a minute.
PATIENT_ATTEMPTS = 64
PATIENT_SECONDS = 60
_LEFT = (
    "{}\n{}\n\nWhat was begun is ended by the next release or rollback, or by a recovery: start the machine "
    "with the operation recover.\nExecution: {}"
)


def release_definition(plan: ReleasePlan) -> dict[str, Any]:
    """The state machine in the Amazon States Language.

    Input: the event ``SageMaker Model Package State Change`` of an approval, or an ``operation`` (rollback,
    recover, or one of an experiment) with what belongs to it. The same event may come more than once.
    """
    return {
        "Comment": f"Bring a version of {plan.spec.name} into service, or go back",
        "StartAt": "Begin",
        "TimeoutSeconds": plan.timeout_seconds,
        "States": {
            "Begin": asl.assign("$.result", {"request.$": "$", "count": 0}, "Step"),
            "Step": _step(plan),
            "WhatNext": asl.choice(
                [
                    _says("again", "Step"),
                    _says("wait", "Wait"),
                    _says("check", "Check"),
                    _says("tell", "Tell"),
                    {
                        "And": [
                            {"Variable": "$.result.do", "StringEquals": "done"},
                            {"Variable": "$.result.subject", "StringEquals": ""},
                        ],
                        "Next": "Done",
                    },
                    _says("done", "TellOfTheEnd"),
                    {
                        "And": [
                            {"Variable": "$.result.do", "StringEquals": "failed"},
                            {"Variable": "$.result.subject", "StringEquals": ""},
                        ],
                        "Next": "Failed",
                    },
                ],
                default="Notify",
            ),
            "Wait": {"Type": "Wait", "SecondsPath": "$.result.seconds", "Next": "Step"},
            "Check": check_state(plan.names, then="Step", on_error="Step"),
            "Tell": _tell(plan, then="Step"),
            "TellOfTheEnd": _tell(plan, then="Done"),
            "Notify": _tell(plan, then="Failed"),
            "Done": {"Type": "Succeed"},
            "Failed": {"Type": "Fail", "ErrorPath": "$.result.error", "CausePath": "$.result.reason"},
        }
        | _broken(plan),
    }


def _step(plan: ReleasePlan) -> asl.State:
    payload = {
        "execution.$": "$$.Execution.Id",
        "request.$": "$.result.request",
        "count.$": "$.result.count",
        "plan": function_plan(plan).to_dict(),
    }
    state = asl.task(
        plan.names.integration("lambda:invoke"),
        {"FunctionName": plan.function_arn, "Payload": payload},
        kind="lambda",
        then="WhatNext",
        on_error="FunctionFailed",
        result="$.result",
        select={f"{key}.$": f"$.Payload.{key}" for key in ANSWER},
        timeout_seconds=STEP_TIMEOUT_SECONDS,
        comment="Looks, decides by the protocol, and changes one thing at a time",
    )
    return state | {"Retry": _retry()}


def _retry() -> list[asl.State]:
    patient = {
        "IntervalSeconds": 2,
        "BackoffRate": 2.0,
        "MaxAttempts": PATIENT_ATTEMPTS,
        "MaxDelaySeconds": PATIENT_SECONDS,
        "JitterStrategy": "FULL",
    }
    passing = [*asl.retry("lambda")[0]["ErrorEquals"], "Lambda.Unknown", "States.Timeout", "TransientError"]
    return [{"ErrorEquals": passing, **patient}, {"ErrorEquals": ["States.ALL"], **patient, "MaxAttempts": 3}]


def _says(word: str, then: str) -> asl.State:
    return {"Variable": "$.result.do", "StringEquals": word, "Next": then}


def _tell(plan: ReleasePlan, then: str) -> asl.State:
    return asl.task(
        plan.names.integration("sns:publish"),
        {
            "TopicArn": plan.topic_arn,
            "Subject.$": "$.result.subject",
            "Message.$": "$.result.message",
        },
        kind="sns",
        then=then,
        # What was done is done, whether somebody hears of it or not; the failed execution has an alarm.
        on_error=then,
        result=None,
    )


def _broken(plan: ReleasePlan) -> dict[str, asl.State]:
    """The function itself failed: the claim stays, and whatever operation comes next takes it over."""
    base = plan.names.model(plan.spec.name).base
    return {
        "FunctionFailed": asl.assign(
            "$.result",
            {
                "error.$": "$.error.Error",
                "reason.$": "$.error.Cause",
                "subject": f"{base}: the release function failed"[:99],
                "message.$": f"States.Format('{_LEFT}', $.error.Error, $.error.Cause, $$.Execution.Id)",
            },
            "Notify",
        ),
    }
