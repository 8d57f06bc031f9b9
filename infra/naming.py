"""Physical names: one prefix per stack, the limits of AWS, and a hash where a name would be cut."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

PROJECT = "upkeep"
VARIANT = "AllTraffic"

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
MAX_BUCKET = 63
# TrainingJobName, ModelName, EndpointConfigName, EndpointName, ModelPackageGroupName:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
MAX_SAGEMAKER = 63
# https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
MAX_FUNCTION = 64
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
MAX_STATE_MACHINE = 80
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
MAX_QUEUE = 80
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
MAX_TABLE = 255
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
MAX_RULE = 64
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MAX_ROLE = 64

RUN_ID_LENGTH = 20
MODEL_LENGTH = 20  # the pattern of ModelSpec.name
# The longest name is a training job's, `upkeep-<stack>-<model>-<run id>`; the stack gets what is left.
STACK_LENGTH = MAX_SAGEMAKER - len(f"{PROJECT}---") - MODEL_LENGTH - RUN_ID_LENGTH
_HASH_LENGTH = 6


def shorten(name: str, limit: int) -> str:
    """The name itself, or its start and a hash of the whole when it is longer than the limit.

    Args:
        name: What the resource should be called.
        limit: The most characters allowed.
    """
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{name[: limit - _HASH_LENGTH - 1].rstrip('-')}-{digest}"


def stack_part(stack: str) -> str:
    """The stack's name as it stands in resource names: lower case, digits and single hyphens, never too long.

    Two stacks never share a part: whenever a character had to go, a hash of the full name takes its place.
    """
    clean = re.sub(r"[^a-z0-9]+", "-", stack.lower()).strip("-")
    if clean == stack:
        return shorten(stack, STACK_LENGTH)
    digest = hashlib.sha256(stack.encode()).hexdigest()[:_HASH_LENGTH]
    head = clean[: STACK_LENGTH - _HASH_LENGTH - 1].rstrip("-")
    return f"{head}-{digest}" if head else digest


@dataclass(frozen=True, kw_only=True)
class ModelNames:
    """Names of what belongs to one model.

    Attributes:
        prefix: ``upkeep-<stack>``.
        model: The model's name.
    """

    prefix: str
    model: str

    @property
    def base(self) -> str:
        """Endpoint, model package group, and the start of every name below."""
        return f"{self.prefix}-{self.model}"

    @property
    def retrain(self) -> str:
        """State machine that trains, judges and registers."""
        return f"{self.base}-retrain"

    @property
    def release(self) -> str:
        """State machine that puts an approved package behind the endpoint."""
        return f"{self.base}-release"

    def seed_run(self, digest: str) -> str:
        """Run id of the first model, which no file push has started."""
        return f"seed-{digest[:10]}"

    def training_job(self, run_id: str) -> str:
        """Training job of a run."""
        return f"{self.base}-{run_id}"

    def serving(self, version: int, suffix: str) -> str:
        """SageMaker model and endpoint configuration of a package version; version 0 is the seed."""
        return f"{self.base}-v{version}-{suffix[:8]}"


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names and ARNs of one stack in one account and region.

    Attributes:
        stack: Pulumi's stack name.
        account_id: Twelve digits.
        region: Such as ``eu-central-1``.
        partition: ``aws``, ``aws-cn`` or ``aws-us-gov``.
    """

    stack: str
    account_id: str
    region: str
    partition: str = "aws"

    @property
    def prefix(self) -> str:
        """Start of every physical name of the stack."""
        return f"{PROJECT}-{stack_part(self.stack)}"

    def named(self, role: str) -> str:
        """`upkeep-<stack>-<role>`."""
        return f"{self.prefix}-{role}"

    def bucket(self, role: str) -> str:
        """Bucket names are global, so they carry the account."""
        return f"{self.prefix}-{role}-{self.account_id}"

    def model(self, name: str) -> ModelNames:
        """Names of one model."""
        return ModelNames(prefix=self.prefix, model=name)

    def arn(self, service: str, resource: str) -> str:
        """ARN of a resource in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def bucket_arn(self, bucket: str, keys: str = "") -> str:
        """ARN of a bucket, or of the objects whose keys match."""
        return f"arn:{self.partition}:s3:::{bucket}{'/' + keys if keys else ''}"

    def integration(self, name: str) -> str:
        """ARN of a Step Functions integration, such as ``lambda:invoke``."""
        return f"arn:{self.partition}:states:::{name}"

    def state_machine_arn(self, name: str) -> str:
        """ARN of a state machine."""
        return self.arn("states", f"stateMachine:{name}")

    def function_arn(self, name: str) -> str:
        """ARN of a Lambda function."""
        return self.arn("lambda", f"function:{name}")

    def sagemaker_arn(self, kind: str, name: str) -> str:
        """ARN of a SageMaker resource; kind such as ``training-job``."""
        return self.arn("sagemaker", f"{kind}/{name}")
