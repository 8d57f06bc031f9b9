"""S3 buckets; what configures one is in `s3_*.py`. Replacement rules: Terraform's page `aws_s3_bucket`."""

from __future__ import annotations

from typing import Any

from sandbox.deployer.interface import ProviderError
from sandbox.deployer.values import Properties

from .aws import Call, found, gone
from .kinds import Kind, Naming, names, tag_map

NO_BUCKET = ("NoSuchBucket", "404", "NotFound")
_DELETE_BATCH = 1000
# Source: https://docs.aws.amazon.com/general/latest/gr/s3.html#s3_website_region_endpoints
_HOSTED_ZONES = {
    "us-east-1": "Z3AQBSTGFYJSTF",
    "us-east-2": "Z2O1EMRO9K5GLX",
    "us-west-2": "Z3BJ6K6RIION7M",
    "eu-west-1": "Z1BKCTXD74EZPE",
    "eu-central-1": "Z21DNDUVLTQW6Q",
}


def _create_bucket(call: Call, inputs: Properties) -> str:
    name = inputs["bucket"]
    s3 = call.client("s3")
    if found(lambda: s3.head_bucket(Bucket=name), *NO_BUCKET) is not None:
        raise ProviderError(f"CreateBucket: BucketAlreadyExists: the bucket {name} exists already")
    request: dict[str, Any] = {"Bucket": name}
    if call.aws.region != "us-east-1":
        request["CreateBucketConfiguration"] = {"LocationConstraint": call.aws.region}
    if inputs.get("objectLockEnabled"):
        request["ObjectLockEnabledForBucket"] = True
    s3.create_bucket(**request)
    call.created(name)
    _tag_bucket(call, name)
    return str(name)


def _tag_bucket(call: Call, name: str) -> None:
    s3 = call.client("s3")
    if call.tags:
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": call.tag_list()})
    else:
        gone(lambda: s3.delete_bucket_tagging(Bucket=name), "NoSuchTagSet")


def _read_bucket(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    s3 = call.client("s3")
    if found(lambda: s3.head_bucket(Bucket=id_), *NO_BUCKET) is None:
        return None
    tagging = found(lambda: s3.get_bucket_tagging(Bucket=id_), "NoSuchTagSet", *NO_BUCKET) or {}
    suffix, region = call.aws.dns_suffix, call.aws.region
    return {
        "bucket": id_,
        "arn": f"arn:{call.aws.partition}:s3:::{id_}",
        "bucketDomainName": f"{id_}.s3.{suffix}",
        "bucketRegionalDomainName": f"{id_}.s3.{region}.{suffix}",
        "bucketRegion": region,
        "hostedZoneId": _HOSTED_ZONES.get(region),
        "tagsAll": tag_map(tagging.get("TagSet", [])),
    }


def _update_bucket(call: Call, id_: str, old: Properties, new: Properties) -> None:
    if old["tagsAll"] != new["tagsAll"]:
        _tag_bucket(call, id_)


def _delete_bucket(call: Call, id_: str, inputs: Properties) -> None:
    if inputs.get("forceDestroy"):
        _empty(call, id_)
    s3 = call.client("s3")
    try:
        gone(lambda: s3.delete_bucket(Bucket=id_), *NO_BUCKET)
    except s3.exceptions.ClientError as error:
        if "BucketNotEmpty" in str(error):
            raise ProviderError(
                f"DeleteBucket: BucketNotEmpty: {id_} still has objects; "
                "empty it, or deploy once with force_destroy=True"
            ) from error
        raise


def _empty(call: Call, bucket: str) -> None:
    """Delete every version and delete marker."""
    s3 = call.client("s3")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
    batch: list[dict[str, str]] = []
    for page in found(lambda: list(pages), *NO_BUCKET) or []:
        for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            batch.append({"Key": item["Key"], "VersionId": item["VersionId"]})
            if len(batch) == _DELETE_BATCH:
                _delete_batch(call, bucket, batch)
                batch = []
    if batch:
        _delete_batch(call, bucket, batch)


def _delete_batch(call: Call, bucket: str, batch: list[dict[str, str]]) -> None:
    answer = call.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
    errors = answer.get("Errors", [])
    if errors:
        first = errors[0]
        raise ProviderError(
            f"DeleteObjects: {len(errors)} objects of {bucket} could not be deleted, "
            f"the first is {first.get('Key')}: {first.get('Code')}: {first.get('Message')}"
        )


BUCKET = Kind(
    type="aws:s3/bucket:Bucket",
    properties=names("bucket bucketPrefix forceDestroy objectLockEnabled region tags"),
    create=_create_bucket,
    read=_read_bucket,
    update=_update_bucket,
    delete=_delete_bucket,
    replace=names("bucket bucketPrefix objectLockEnabled region"),
    naming=Naming("bucket", "bucketPrefix", 63, lower=True),
    defaults={"forceDestroy": False},
    tags=True,
    identify=lambda inputs: inputs["bucket"],
    local=names("forceDestroy"),
)

KINDS = (BUCKET,)
