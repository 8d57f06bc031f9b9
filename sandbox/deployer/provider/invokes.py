"""The functions of package `aws` that need no resource."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.deployer.interface import ProviderError
from sandbox.deployer.values import Properties

from .aws import Aws

# The accounts that own the prebuilt scikit-learn and XGBoost images.
# Source: https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/sagemaker-algo-docker-registry-paths.html
_IMAGE_ACCOUNTS = {
    "us-east-1": "683313688378",
    "us-east-2": "257758044811",
    "us-west-1": "746614075791",
    "us-west-2": "246618743249",
    "eu-west-1": "141502667606",
    "eu-west-2": "764974769150",
    "eu-central-1": "492215442770",
}
_IMAGE_REPOSITORIES = {"sagemaker-scikit-learn", "sagemaker-xgboost", "sagemaker-sparkml-serving"}


def _caller_identity(aws: Aws, _arguments: Properties) -> Properties:
    identity = aws.identity()
    return {
        "accountId": identity["account"],
        "arn": identity["arn"],
        "userId": identity["user"],
        "id": identity["account"],
    }


def _region(aws: Aws, arguments: Properties) -> Properties:
    name = arguments.get("region") or arguments.get("name") or aws.region
    if name != aws.region:
        raise ProviderError(f"getRegion: {name!r} found; the sandbox has the region {aws.region} only")
    return {
        "name": name,
        "region": name,
        "id": name,
        "description": name,
        "endpoint": f"ec2.{name}.{aws.dns_suffix}",
    }


def _partition(aws: Aws, _arguments: Properties) -> Properties:
    suffix = aws.dns_suffix
    return {
        "partition": aws.partition,
        "id": aws.partition,
        "dnsSuffix": suffix,
        "reverseDnsPrefix": ".".join(reversed(suffix.split("."))),
    }


def _prebuilt_image(aws: Aws, arguments: Properties) -> Properties:
    repository = arguments.get("repositoryName")
    region = arguments.get("region") or aws.region
    if repository not in _IMAGE_REPOSITORIES:
        allowed = ", ".join(sorted(_IMAGE_REPOSITORIES))
        raise ProviderError(
            f"getPrebuiltEcrImage: repository {repository!r} found; the sandbox knows: {allowed}"
        )
    account = _IMAGE_ACCOUNTS.get(region)
    if account is None:
        allowed = ", ".join(sorted(_IMAGE_ACCOUNTS))
        raise ProviderError(f"getPrebuiltEcrImage: region {region!r} found; the sandbox knows: {allowed}")
    suffix = arguments.get("dnsSuffix") or aws.dns_suffix
    tag = arguments.get("imageTag") or "1"
    return {
        "repositoryName": repository,
        "region": region,
        "dnsSuffix": suffix,
        "imageTag": tag,
        "registryId": account,
        "registryPath": f"{account}.dkr.ecr.{region}.{suffix}/{repository}:{tag}",
        "id": account,
    }


INVOKES: dict[str, Callable[[Aws, Properties], Properties]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getRegion:getRegion": _region,
    "aws:sagemaker/getPrebuiltEcrImage:getPrebuiltEcrImage": _prebuilt_image,
}
