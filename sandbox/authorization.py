"""What IAM has to allow for a call: the resources of its action, and the roles it hands to a service.

Plain functions of the call; the evaluation is the emulator's. Sources: the Service Authorization Reference,
"Actions, resources, and condition keys for Amazon SageMaker"
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_sagemaker.html), and "Grant a user
permissions to pass a role to an AWS service"
(https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.calls import Call

# Resource type of the reference, and the parameter that names it.
_NOUNS = {
    "TrainingJob": ("training-job", "TrainingJobName"),
    "ProcessingJob": ("processing-job", "ProcessingJobName"),
    "TransformJob": ("transform-job", "TransformJobName"),
    "HyperParameterTuningJob": ("hyper-parameter-tuning-job", "HyperParameterTuningJobName"),
    "Model": ("model", "ModelName"),
    "EndpointConfig": ("endpoint-config", "EndpointConfigName"),
    "Endpoint": ("endpoint", "EndpointName"),
    "EndpointWeightsAndCapacities": ("endpoint", "EndpointName"),
    "EndpointAsync": ("endpoint", "EndpointName"),
    "EndpointWithResponseStream": ("endpoint", "EndpointName"),
    "ModelPackageGroup": ("model-package-group", "ModelPackageGroupName"),
    "ModelPackageGroupPolicy": ("model-package-group", "ModelPackageGroupName"),
    "ModelPackage": ("model-package", "ModelPackageName"),
}
_VERB = re.compile(r"(Create|Describe|Update|Delete|Stop|Get|Put|Invoke)(\w+)")
_TAG_ACTIONS = ("AddTags", "ListTags", "DeleteTags")

# The service each call hands its role to.
_SAGEMAKER, _LAMBDA, _STATES = "sagemaker.amazonaws.com", "lambda.amazonaws.com", "states.amazonaws.com"
_EVENTS, _SCHEDULER = "events.amazonaws.com", "scheduler.amazonaws.com"


@dataclass(frozen=True)
class Permission:
    """An action on a resource that the caller must be allowed, with condition keys of the request."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class PassedRole:
    """A role a call hands to a service."""

    role_arn: str
    service: str
    error_code: str = "ValidationException"

    @property
    def permission(self) -> Permission:
        """What the caller must be allowed to hand it over."""
        return Permission("iam:PassRole", self.role_arn, (("iam:passedtoservice", self.service),))


def sagemaker_permissions(call: Call, region: str, account: str) -> list[Permission]:
    """What a SageMaker call needs, the action's own resource first.

    Creating with tags also needs AddTags on the new resource; creating or updating an endpoint is checked on
    its configuration too. Actions without resource types (the List ones) are checked on `*`.
    """
    action = f"sagemaker:{call.operation}"
    own = _resource(call, f"arn:aws:sagemaker:{region}:{account}:")
    permissions = [Permission(action, own, _context(call))]
    if call.operation in ("CreateEndpoint", "UpdateEndpoint"):
        config = str(call.params.get("EndpointConfigName", "")).lower()
        permissions.append(
            Permission(
                action, f"arn:aws:sagemaker:{region}:{account}:endpoint-config/{config}", _context(call)
            )
        )
    if call.operation.startswith("Create") and call.params.get("Tags"):
        permissions.append(Permission("sagemaker:AddTags", own, _context(call)))
    return permissions


def _resource(call: Call, prefix: str) -> str:
    if call.operation in _TAG_ACTIONS:
        return str(call.params.get("ResourceArn", "*"))
    found = _VERB.fullmatch(call.operation)
    noun = _NOUNS.get(found[2]) if found else None
    if noun is None:
        return "*"
    kind, parameter = noun
    name = str(call.params.get(parameter) or call.params.get("ModelPackageArn") or "")
    if call.operation == "CreateModelPackage" and "ModelPackageGroupName" in call.params:
        # The version is not known before; a policy names the group's versions by a wildcard.
        name = f"{_last_part(str(call.params['ModelPackageGroupName']))}/*"
    if name.startswith("arn:"):
        return name
    return f"{prefix}{kind}/{name.lower()}"  # SageMaker's ARNs are in lower case


def _last_part(name: str) -> str:
    return name.rpartition("/")[2]


def resource(call: Call, region: str, account: str) -> str | None:
    """The ARN a call is checked on, where the emulator's own reading is missing or differs from AWS's.

    Sources: the reference pages of EventBridge, CloudWatch Logs, CloudWatch, Lambda and EventBridge Scheduler
    beside SageMaker's. Rules of the default bus are named without it; log groups with an empty stream, so
    that the usual `log-group:name:*` matches.
    """
    if call.service in ("sagemaker", "sagemaker-runtime"):
        return sagemaker_permissions(call, region, account)[0].resource
    params, here = call.params, f"{region}:{account}"
    if (call.service, call.operation) == ("lambda", "CreateFunction"):
        return f"arn:aws:lambda:{here}:function:{params.get('FunctionName')}"
    if call.service == "events" and (rule := params.get("Rule") or params.get("Name")):
        bus = str(params.get("EventBusName") or "default").rpartition("/")[2]
        return (
            f"arn:aws:events:{here}:rule/{rule}"
            if bus == "default"
            else f"arn:aws:events:{here}:rule/{bus}/{rule}"
        )
    if call.service == "logs" and "TagResource" not in call.operation and "resourceArn" not in params:
        group, stream = params.get("logGroupName") or "", params.get("logStreamName") or ""
        return f"arn:aws:logs:{here}:log-group:{group}:log-stream:{stream}"
    if call.service == "cloudwatch" and (dashboard := params.get("DashboardName")):
        return f"arn:aws:cloudwatch::{account}:dashboard/{dashboard}"
    if call.service == "cloudwatch" and call.operation == "DescribeAlarms":
        # AWS's refusal names all alarms: aws-samples/amazon-cloudwatch-auto-alarms issue 1.
        return f"arn:aws:cloudwatch:{here}:alarm:*"
    if call.service == "scheduler" and (name := params.get("Name")) and "Schedule" in call.operation:
        return f"arn:aws:scheduler:{here}:schedule/{params.get('GroupName') or 'default'}/{name}"
    return None


def _context(call: Call) -> tuple[tuple[str, str], ...]:
    """The service's condition keys that a request carries."""
    status = call.params.get("ModelApprovalStatus")
    return (("sagemaker:modelapprovalstatus", str(status)),) if status else ()


def condition_keys(call: Call) -> dict[str, str]:
    """Condition keys of services whose own the emulator does not know, in lower case.

    `cloudwatch:namespace`:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/iam-cw-condition-keys-namespace.html
    """
    if call.service == "cloudwatch" and call.operation == "PutMetricData":
        return {"cloudwatch:namespace": str(call.params.get("Namespace", ""))}
    return dict(_context(call)) if call.service == "sagemaker" else {}


def passed_roles(call: Call) -> list[PassedRole]:
    """The roles a call hands to a service, each once."""
    reader = _PASSING.get((call.service, call.operation))
    return list(dict.fromkeys(role for role in reader(call.params) if role.role_arn)) if reader else []


def _one(
    parameter: str, service: str, code: str = "ValidationException"
) -> Callable[[dict[str, Any]], Iterator[PassedRole]]:
    def read(params: dict[str, Any]) -> Iterator[PassedRole]:
        yield PassedRole(str(params.get(parameter) or ""), service, code)

    return read


def _targets(params: dict[str, Any]) -> Iterator[PassedRole]:
    for target in params.get("Targets") or []:
        yield PassedRole(str(target.get("RoleArn") or ""), _EVENTS)


def _schedule(params: dict[str, Any]) -> Iterator[PassedRole]:
    yield PassedRole(str((params.get("Target") or {}).get("RoleArn") or ""), _SCHEDULER)


_PASSING: dict[tuple[str, str], Callable[[dict[str, Any]], Iterator[PassedRole]]] = {
    ("sagemaker", "CreateTrainingJob"): _one("RoleArn", _SAGEMAKER),
    ("sagemaker", "CreateProcessingJob"): _one("RoleArn", _SAGEMAKER),
    ("sagemaker", "CreateModel"): _one("ExecutionRoleArn", _SAGEMAKER),
    ("sagemaker", "CreateEndpointConfig"): _one("ExecutionRoleArn", _SAGEMAKER),
    ("lambda", "CreateFunction"): _one("Role", _LAMBDA, "InvalidParameterValueException"),
    ("lambda", "UpdateFunctionConfiguration"): _one("Role", _LAMBDA, "InvalidParameterValueException"),
    ("stepfunctions", "CreateStateMachine"): _one("roleArn", _STATES, "AccessDeniedException"),
    ("stepfunctions", "UpdateStateMachine"): _one("roleArn", _STATES, "AccessDeniedException"),
    ("events", "PutTargets"): _targets,
    ("events", "PutRule"): _one("RoleArn", _EVENTS),
    ("scheduler", "CreateSchedule"): _schedule,
    ("scheduler", "UpdateSchedule"): _schedule,
}


_CANNOT_ASSUME = {
    _SAGEMAKER: (
        "Could not assume role {role}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role."
    ),
    _LAMBDA: "The role defined for the function cannot be assumed by Lambda.",
    _STATES: (
        "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to "
        "assume the provided role."
    ),
    _EVENTS: "Provided role '{role}' cannot be assumed by principal 'events.amazonaws.com'.",
    _SCHEDULER: "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
}


def cannot_assume(role: PassedRole) -> str:
    """AWS's words when a service cannot assume a role."""
    return _CANNOT_ASSUME[role.service].format(role=role.role_arn)


def source_arn(call: Call, region: str, account: str) -> str:
    """The resource a service assumes the role of a call for: `aws:SourceArn` in the trust policy."""
    if call.service == "stepfunctions":
        name = call.params.get("name")
        return str(
            call.params.get("stateMachineArn") or f"arn:aws:states:{region}:{account}:stateMachine:{name}"
        )
    if call.service == "lambda":
        return f"arn:aws:lambda:{region}:{account}:function:{call.params.get('FunctionName')}"
    if call.service == "events":
        return f"arn:aws:events:{region}:{account}:rule/{call.params.get('Rule') or call.params.get('Name')}"
    return f"arn:aws:{call.service}:{region}:{account}:*"


# What Step Functions' managed rule of a Run a Job (.sync) task is called.
# https://docs.aws.amazon.com/step-functions/latest/dg/sagemaker-iam.html
_MANAGED_RULES = {
    "createTrainingJob": "StepFunctionsGetEventsForSageMakerTrainingJobsRule",
    "createProcessingJob": "StepFunctionsGetEventsForSageMakerProcessingJobsRule",
}


def managed_rule_permissions(definition: str, region: str, account: str) -> list[Permission]:
    """What a state machine's role must be allowed when the machine is created, for its .sync tasks."""
    try:
        text = json.dumps(json.loads(definition))
    except ValueError:
        return []
    jobs = sorted(
        set(re.findall(r"arn:aws[\w-]*:states:::sagemaker:(\w+)\.sync", text)) & _MANAGED_RULES.keys()
    )
    return [
        Permission(action, f"arn:aws:events:{region}:{account}:rule/{_MANAGED_RULES[job]}")
        for job in jobs
        for action in ("events:PutTargets", "events:PutRule", "events:DescribeRule")
    ]
