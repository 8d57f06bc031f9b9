"""The errors of the SageMaker API, in AWS's words.

Texts marked [AWS] were seen in AWS's own answers, as quoted in public clients that match on them:
aws/amazon-sagemaker-operator-for-k8s `clientwrapper/sagemaker_client_wrapper.go`,
hashicorp/terraform-provider-aws `internal/service/sagemaker`, aws-controllers-k8s `generator.yaml`. The
others are ours, because no source shows AWS's.
"""

from __future__ import annotations


class ApiError(Exception):
    """An error answer of the API: the code clients match on, the text people read, the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__(f"{code}: {message}")


def validation(message: str) -> ApiError:
    """A ValidationException, AWS's answer to most bad requests, missing resources included."""
    return ApiError("ValidationException", message)


def in_use(message: str) -> ApiError:
    """A ResourceInUse error: the name is taken or the resource is busy."""
    return ApiError("ResourceInUse", message)


def conflict(message: str) -> ApiError:
    """A ConflictException, used by the model registry."""
    return ApiError("ConflictException", message)


def unknown_operation(operation: str, known: list[str]) -> ApiError:
    """An operation this sandbox does not have; names the ones it does."""
    return ApiError(
        "UnknownOperationException",
        f"The sandbox's SageMaker has no operation {operation}. It has: {', '.join(sorted(known))}.",
    )


def could_not_find(noun: str, arn: str) -> ApiError:
    """[AWS] for models, endpoint configurations and endpoints."""
    return validation(f'Could not find {noun} "{arn}".')


def already_exists(noun: str, arn: str) -> ApiError:
    """[AWS] for models, endpoint configurations and endpoints."""
    return validation(f'Cannot create already existing {noun} "{arn}".')


def endpoint_in_progress(arn: str) -> ApiError:
    """[AWS] for an update or delete of an endpoint that is being created, updated or deleted."""
    return validation(f'Cannot update in-progress endpoint "{arn}".')


def job_missing(kind: str, name: str) -> ApiError:
    """[AWS] for describe and stop; for processing jobs the beginning, what follows the name is ours.

    The code is ValidationException, not ResourceNotFound.
    """
    if kind == "training":
        return validation("Requested resource not found.")
    return validation(f"Could not find requested job with name: {name}")


def training_job_exists(arn: str) -> ApiError:
    """[AWS] for CreateTrainingJob with a used name."""
    return in_use(
        "Training job names must be unique within an AWS account and region, "
        f"and a training job with this name already exists ({arn})"
    )


def job_not_stoppable(kind: str, status: str) -> ApiError:
    """[AWS] for StopTrainingJob and StopProcessingJob on a job that has ended."""
    return validation(f"The request was rejected because the {kind} job is in status {status}.")


def processing_job_exists(arn: str) -> ApiError:
    """[AWS] for CreateProcessingJob with a used name."""
    return in_use(
        "Job name must be unique within an AWS account and region, "
        f"and a job with this name already exists ({arn})"
    )


def group_missing(arn: str) -> ApiError:
    """[AWS] for every operation on a model package group that is not there."""
    return validation(f"ModelPackageGroup {arn} does not exist.")


def group_exists(arn: str) -> ApiError:
    """[AWS] up to the colon."""
    return validation(f"Model Package Group already exists: {arn}")


def package_missing(arn: str) -> ApiError:
    """[AWS] in its ending ("does not exist.")."""
    return validation(f"ModelPackage {arn} does not exist.")
