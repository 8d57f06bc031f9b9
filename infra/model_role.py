"""What SageMaker may do for one model: train it, check it, serve it, and record its requests."""

from __future__ import annotations

from infra.naming import Names
from infra.permissions import Permission
from infra.storage import Storage
from models.spec import ModelSpec


def model_permissions(names: Names, storage: Storage, spec: ModelSpec, image: str) -> list[Permission]:
    """What SageMaker does in the role's name; the containers themselves have no network."""
    model = spec.name
    log_groups = ("TrainingJobs", "ProcessingJobs", f"Endpoints/{names.model(model).base}")
    logs = [names.arn("logs", f"log-group:/aws/sagemaker/{group}") for group in log_groups]
    checkpoints = [
        storage.read("ReadCheckpoints", "artifacts", f"checkpoints/{model}/*"),
        storage.browse("ListCheckpoints", "artifacts", f"checkpoints/{model}/"),
        storage.write("WriteCheckpoints", "artifacts", f"checkpoints/{model}/*"),
    ]
    return [
        *(checkpoints if spec.training.spot else []),
        storage.read(
            "ReadCode",
            "artifacts",
            "code/*",
            f"specs/{model}.json",
            f"training/{model}/*",
            f"checks/{model}/*",
            f"reproductions/{model}/*",
        ),
        storage.browse(
            "ListCode",
            "artifacts",
            "code/",
            f"specs/{model}.json",
            f"training/{model}/",
            f"checks/{model}/",
            f"reproductions/{model}/",
        ),
        storage.write(
            "WriteModel",
            "artifacts",
            *(f"{what}/{model}/*" for what in ("training", "checks", "reproductions")),
        ),
        storage.read("ReadData", "data", f"accepted/{model}/*", f"manifests/{model}/*"),
        storage.browse("ListData", "data", f"accepted/{model}/", f"manifests/{model}/"),
        storage.write("Capture", "data", f"capture/{model}/*"),
        # A job that names a key for its output asks for `kms:Encrypt`:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
        storage.encrypt("kms:Encrypt"),
        Permission(
            sid="WriteLogs",
            actions=[
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
            ],
            resources=[arn for group in logs for arn in (group, f"{group}:*")],
        ),
        Permission(
            sid="WriteMetrics",
            actions=["cloudwatch:PutMetricData"],
            conditions={
                "StringEquals": {
                    "cloudwatch:namespace": [
                        "/aws/sagemaker/TrainingJobs",
                        "/aws/sagemaker/ProcessingJobs",
                        "/aws/sagemaker/Endpoints",
                        "AWS/SageMaker",
                    ]
                }
            },
        ),
        Permission(sid="LoginForImage", actions=["ecr:GetAuthorizationToken"]),
        Permission(
            sid="PullImage",
            actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            resources=[image_repository_arn(image, names.partition)],
        ),
    ]


def image_repository_arn(image: str, partition: str) -> str:
    """ARN of the repository of `<account>.dkr.ecr.<region>.<suffix>/<repository>:<tag>`.

    Raises:
        ValueError: The address is not one of Amazon's registry.
    """
    host, _, path = image.partition("/")
    parts = host.split(".")
    if len(parts) < 6 or parts[1:3] != ["dkr", "ecr"] or not path:
        raise ValueError(
            f"image {image!r}: expected <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>"
        )
    repository = path.partition("@")[0].partition(":")[0]
    return f"arn:{partition}:ecr:{parts[3]}:{parts[0]}:repository/{repository}"
