"""The retraining state machine: find what serves, train a challenger, judge, register."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from infra.alerts import Alerts
from infra.machine import StateMachine, StateMachineArgs
from infra.naming import Names
from infra.permissions import Permission, pass_role
from infra.retrain_states import RetrainPlan, retrain_definition
from infra.storage import Storage
from models.spec import ModelSpec

# Made by Step Functions itself to learn that a job has ended:
# https://docs.aws.amazon.com/step-functions/latest/dg/sagemaker-iam.html
SYNC_RULE = "StepFunctionsGetEventsForSageMakerTrainingJobsRule"


@dataclass(frozen=True, kw_only=True)
class RetrainArgs:
    """What `RetrainMachine` needs.

    Attributes:
        names: Names of the stack.
        spec: The model.
        image: Container that trains and serves.
        role_arn: Role of the training job.
        storage: Key and buckets.
        alerts: Where failures are announced.
        judge_arn: The judging function.
        code_key: Key of the code archive in the artifacts bucket.
        spec_key: Key of the spec there.
        tags: Put on what the machine creates.
        log_retention_days: How long its history is kept as a log.
    """

    names: Names
    spec: ModelSpec
    image: str
    role_arn: pulumi.Input[str]
    storage: Storage
    alerts: Alerts
    judge_arn: pulumi.Input[str]
    code_key: str
    spec_key: str
    tags: Mapping[str, str]
    log_retention_days: int


class RetrainMachine(pulumi.ComponentResource):
    """The state machine and what it may do.

    Attributes:
        arn: For those who start it.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: RetrainArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:retrain:RetrainMachine", name, {}, opts)
        artifacts = f"s3://{args.names.bucket('artifacts')}"
        known: dict[str, Any] = {
            "names": args.names,
            "spec": args.spec,
            "image": args.image,
            "code_uri": f"{artifacts}/{args.code_key}",
            "spec_uri": f"{artifacts}/{args.spec_key}",
            "output_uri": f"{artifacts}/training/{args.spec.name}",
            "checkpoints_uri": f"{artifacts}/checkpoints/{args.spec.name}",
            "tags": args.tags,
        }
        definition = pulumi.Output.all(
            role_arn=args.role_arn,
            key_arn=args.storage.key_arn,
            topic_arn=args.alerts.topic_arn,
            judge_arn=args.judge_arn,
        ).apply(lambda later: retrain_definition(RetrainPlan(**known, **later)))
        self.machine = StateMachine(
            name,
            StateMachineArgs(
                names=args.names,
                machine=args.names.model(args.spec.name).retrain,
                definition=definition,
                permissions=_permissions(args),
                log_retention_days=args.log_retention_days,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.arn = self.machine.arn
        self.register_outputs({"arn": self.arn})


def _permissions(args: RetrainArgs) -> list[Permission]:
    names, own = args.names, args.names.model(args.spec.name)
    return [
        Permission(
            sid="FindChampion",
            actions=[
                "sagemaker:DescribeEndpoint",
                "sagemaker:DescribeEndpointConfig",
                "sagemaker:DescribeModel",
            ],
            resources=[
                names.sagemaker_arn("endpoint", own.base),
                names.sagemaker_arn("endpoint-config", f"{own.base}-*"),
                names.sagemaker_arn("model", f"{own.base}-*"),
            ],
        ),
        Permission(
            sid="Train",
            actions=[
                "sagemaker:AddTags",
                "sagemaker:CreateTrainingJob",
                "sagemaker:DescribeTrainingJob",
                "sagemaker:ListTags",
                "sagemaker:StopTrainingJob",
            ],
            resources=[names.sagemaker_arn("training-job", f"{own.base}-*")],
        ),
        pass_role(args.role_arn, "sagemaker.amazonaws.com"),
        Permission(
            sid="WaitForTheJob",
            actions=["events:DescribeRule", "events:PutRule", "events:PutTargets"],
            resources=[names.arn("events", f"rule/{SYNC_RULE}")],
        ),
        Permission(sid="Judge", actions=["lambda:InvokeFunction"], resources=[args.judge_arn]),
        Permission(
            sid="Register",
            actions=["sagemaker:CreateModelPackage"],
            resources=[
                names.sagemaker_arn("model-package-group", own.base),
                names.sagemaker_arn("model-package", f"{own.base}/*"),
            ],
        ),
        # CreateModelPackage looks at the model's file in the name of its caller.
        args.storage.read("ReadModel", "artifacts", f"training/{args.spec.name}/*"),
        args.storage.decrypt(),
        *args.alerts.publish(),
    ]
