"""S3: the bucket and the resources that configure one.

Replacement rules from the Terraform AWS provider's pages `aws_s3_bucket` and `aws_s3_bucket_*`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.deployer.interface import ProviderError
from sandbox.deployer.values import UNKNOWN, Properties

from . import schema, wire
from .aws import Call, found, gone
from .kinds import Kind, Naming, again, names, tag_map

_NO_BUCKET = ("NoSuchBucket", "404", "NotFound")
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
    if found(lambda: s3.head_bucket(Bucket=name), *_NO_BUCKET) is not None:
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
    if found(lambda: s3.head_bucket(Bucket=id_), *_NO_BUCKET) is None:
        return None
    tagging = found(lambda: s3.get_bucket_tagging(Bucket=id_), "NoSuchTagSet", *_NO_BUCKET) or {}
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
        gone(lambda: s3.delete_bucket(Bucket=id_), *_NO_BUCKET)
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
    for page in found(lambda: list(pages), *_NO_BUCKET) or []:
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


@dataclass(frozen=True)
class _Setting:
    """A configuration of a bucket: which operations put, get and delete it.

    `block` is the request's member that holds it; `missing` the code AWS answers when there is none.
    """

    type: str
    properties: str
    put: str
    get: str
    remove: str
    block: str
    missing: str
    is_set: Callable[[dict[str, Any]], bool] = bool

    def shape(self) -> Any:
        operation = "".join(part.capitalize() for part in self.put.split("_"))
        return wire.input_shape("s3", operation).members[self.block]

    def kind(self) -> Kind:
        return Kind(
            type=self.type,
            properties=names(self.properties) | {"bucket", "region"},
            create=self._create,
            read=self._read,
            update=lambda call, id_, _old, new: self._put(call, id_, new),
            delete=self._delete,
            replace=names("bucket region"),
            identify=lambda inputs: inputs["bucket"],
        )

    def _create(self, call: Call, inputs: Properties) -> str:
        self._put(call, inputs["bucket"], inputs)
        return str(inputs["bucket"])

    def _put(self, call: Call, bucket: str, inputs: Properties) -> None:
        settings = {key: value for key, value in inputs.items() if key in names(self.properties)}
        body = wire.encode(self.shape(), settings)
        getattr(call.client("s3"), self.put)(Bucket=bucket, **{self.block: body})

    def _read(self, call: Call, id_: str, _inputs: Properties) -> Properties | None:
        answer = found(lambda: getattr(call.client("s3"), self.get)(Bucket=id_), self.missing, *_NO_BUCKET)
        if answer is None:
            return None
        body = answer.get(self.block, answer)
        if not self.is_set(body):
            return None
        known = schema.of(self.type).outputs
        kinds = {key: known[key] for key in names(self.properties)}
        return {"bucket": id_, **wire.decode_fields(self.shape(), body, kinds)}

    def _delete(self, call: Call, id_: str, _inputs: Properties) -> None:
        gone(lambda: getattr(call.client("s3"), self.remove)(Bucket=id_), self.missing, *_NO_BUCKET)


_ENCRYPTION = _Setting(
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "rules",
    "put_bucket_encryption",
    "get_bucket_encryption",
    "delete_bucket_encryption",
    "ServerSideEncryptionConfiguration",
    "ServerSideEncryptionConfigurationNotFoundError",
)
_PUBLIC_ACCESS = _Setting(
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "blockPublicAcls blockPublicPolicy ignorePublicAcls restrictPublicBuckets",
    "put_public_access_block",
    "get_public_access_block",
    "delete_public_access_block",
    "PublicAccessBlockConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
)
_OWNERSHIP = _Setting(
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "rule",
    "put_bucket_ownership_controls",
    "get_bucket_ownership_controls",
    "delete_bucket_ownership_controls",
    "OwnershipControls",
    "OwnershipControlsNotFoundError",
)


def _put_versioning(call: Call, bucket: str, inputs: Properties) -> None:
    block = inputs["versioningConfiguration"]
    status = block.get("status")
    if status != "Disabled":
        call.client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def _create_versioning(call: Call, inputs: Properties) -> str:
    _put_versioning(call, inputs["bucket"], inputs)
    return str(inputs["bucket"])


def _read_versioning(call: Call, id_: str, inputs: Properties) -> Properties | None:
    answer = found(lambda: call.client("s3").get_bucket_versioning(Bucket=id_), *_NO_BUCKET)
    if answer is None:
        return None
    status = answer.get("Status") or "Disabled"
    if status == "Disabled" and (inputs.get("versioningConfiguration") or {}).get("status") != "Disabled":
        return None
    return {"bucket": id_, "versioningConfiguration": {"status": status}}


def _delete_versioning(call: Call, id_: str, inputs: Properties) -> None:
    if (inputs.get("versioningConfiguration") or {}).get("status") == "Enabled":
        s3 = call.client("s3")
        gone(
            lambda: s3.put_bucket_versioning(Bucket=id_, VersioningConfiguration={"Status": "Suspended"}),
            *_NO_BUCKET,
        )


def _check_versioning(inputs: Properties) -> list[tuple[str, str]]:
    block = inputs.get("versioningConfiguration")
    if not isinstance(block, dict):
        return []
    problems = []
    if "mfaDelete" in block:
        problems.append(("versioningConfiguration.mfaDelete", "not implemented by the sandbox"))
    allowed = ("Enabled", "Suspended", "Disabled")
    if block.get("status") not in (*allowed, UNKNOWN):
        problems.append(
            (
                "versioningConfiguration.status",
                f"{block.get('status')!r} found; allowed: {', '.join(allowed)}",
            )
        )
    return problems


_VERSIONING = Kind(
    type="aws:s3/bucketVersioning:BucketVersioning",
    properties=names("bucket versioningConfiguration region"),
    create=_create_versioning,
    read=_read_versioning,
    update=lambda call, id_, _old, new: _put_versioning(call, id_, new),
    delete=_delete_versioning,
    replace=names("bucket region"),
    identify=lambda inputs: inputs["bucket"],
    validate=_check_versioning,
)


def _put_policy(call: Call, inputs: Properties) -> str:
    call.client("s3").put_bucket_policy(Bucket=inputs["bucket"], Policy=inputs["policy"])
    return str(inputs["bucket"])


def _read_policy(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    answer = found(lambda: call.client("s3").get_bucket_policy(Bucket=id_), "NoSuchBucketPolicy", *_NO_BUCKET)
    return None if answer is None else {"bucket": id_, "policy": answer["Policy"]}


def _delete_policy(call: Call, id_: str, _inputs: Properties) -> None:
    s3 = call.client("s3")
    gone(lambda: s3.delete_bucket_policy(Bucket=id_), "NoSuchBucketPolicy", *_NO_BUCKET)


_POLICY = Kind(
    type="aws:s3/bucketPolicy:BucketPolicy",
    properties=names("bucket policy region"),
    create=_put_policy,
    read=_read_policy,
    update=again(_put_policy),
    delete=_delete_policy,
    replace=names("bucket region"),
    documents=names("policy"),
    identify=lambda inputs: inputs["bucket"],
)

wire.RENAMES.update(
    {
        ("BucketLifecycleConfiguration", "rules"): "Rules",
        ("LifecycleRule", "id"): "ID",
        ("LifecycleRuleAndOperator", "tags"): "Tags",
        ("LoggingEnabled", "targetGrants"): "TargetGrants",
        ("ServerSideEncryptionByDefault", "sseAlgorithm"): "SSEAlgorithm",
        ("ServerSideEncryptionByDefault", "kmsMasterKeyId"): "KMSMasterKeyID",
    }
)


def _lifecycle_body(inputs: Properties) -> dict[str, Any]:
    shape = wire.named("s3", "LifecycleRules")
    rules = wire.encode(shape, inputs.get("rules") or [])
    for rule, given in zip(rules, inputs.get("rules") or [], strict=True):
        both = (given.get("filter") or {}).get("and")
        if both and "tags" in both:
            rule["Filter"]["And"]["Tags"] = [{"Key": k, "Value": v} for k, v in both["tags"].items()]
        if "Filter" not in rule and "Prefix" not in rule:
            rule["Filter"] = {"Prefix": ""}
    return {"Rules": rules}


def _put_lifecycle(call: Call, inputs: Properties) -> str:
    request: dict[str, Any] = {
        "Bucket": inputs["bucket"],
        "LifecycleConfiguration": _lifecycle_body(inputs),
    }
    if inputs.get("transitionDefaultMinimumObjectSize"):
        request["TransitionDefaultMinimumObjectSize"] = inputs["transitionDefaultMinimumObjectSize"]
    call.client("s3").put_bucket_lifecycle_configuration(**request)
    return str(inputs["bucket"])


def _read_lifecycle(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    s3 = call.client("s3")
    answer = found(
        lambda: s3.get_bucket_lifecycle_configuration(Bucket=id_),
        "NoSuchLifecycleConfiguration",
        *_NO_BUCKET,
    )
    if answer is None:
        return None
    kind = schema.of(_LIFECYCLE.type).outputs["rules"]
    rules = wire.decode(wire.named("s3", "LifecycleRules"), answer.get("Rules", []), kind)
    return {"bucket": id_, "rules": rules}


def _delete_lifecycle(call: Call, id_: str, _inputs: Properties) -> None:
    gone(lambda: call.client("s3").delete_bucket_lifecycle(Bucket=id_), *_NO_BUCKET)


_LIFECYCLE = Kind(
    type="aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    properties=names("bucket rules region transitionDefaultMinimumObjectSize"),
    create=_put_lifecycle,
    read=_read_lifecycle,
    update=again(_put_lifecycle),
    delete=_delete_lifecycle,
    replace=names("bucket region"),
    identify=lambda inputs: inputs["bucket"],
)

# property -> (request member, ARN member)
_TARGETS = {
    "lambdaFunctions": ("LambdaFunctionConfigurations", "lambdaFunctionArn", "LambdaFunctionArn"),
    "queues": ("QueueConfigurations", "queueArn", "QueueArn"),
    "topics": ("TopicConfigurations", "topicArn", "TopicArn"),
}


def _notification_body(inputs: Properties) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for key, (member, arn_key, arn_member) in _TARGETS.items():
        entries = []
        for item in inputs.get(key) or []:
            entry: dict[str, Any] = {arn_member: item[arn_key], "Events": item["events"]}
            rules = [
                {"Name": name, "Value": item[prop]}
                for name, prop in (("prefix", "filterPrefix"), ("suffix", "filterSuffix"))
                if item.get(prop)
            ]
            if rules:
                entry["Filter"] = {"Key": {"FilterRules": rules}}
            if item.get("id"):
                entry["Id"] = item["id"]
            entries.append(entry)
        if entries:
            body[member] = entries
    if inputs.get("eventbridge"):
        body["EventBridgeConfiguration"] = {}
    return body


def _put_notification(call: Call, inputs: Properties) -> str:
    call.client("s3").put_bucket_notification_configuration(
        Bucket=inputs["bucket"], NotificationConfiguration=_notification_body(inputs)
    )
    return str(inputs["bucket"])


def _read_notification(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    s3 = call.client("s3")
    answer = found(lambda: s3.get_bucket_notification_configuration(Bucket=id_), *_NO_BUCKET)
    if answer is None:
        return None
    live: Properties = {"bucket": id_, "eventbridge": answer.get("EventBridgeConfiguration") is not None}
    for key, (member, arn_key, arn_member) in _TARGETS.items():
        entries = []
        for item in answer.get(member, []):
            entry = {arn_key: item[arn_member], "events": item["Events"], "id": item.get("Id")}
            for rule in item.get("Filter", {}).get("Key", {}).get("FilterRules", []):
                entry[f"filter{rule['Name'].capitalize()}"] = rule["Value"]
            entries.append(entry)
        if entries:
            live[key] = entries
    if not any(live.get(key) for key in (*_TARGETS, "eventbridge")):
        return None
    return live


def _delete_notification(call: Call, id_: str, _inputs: Properties) -> None:
    s3 = call.client("s3")
    gone(
        lambda: s3.put_bucket_notification_configuration(Bucket=id_, NotificationConfiguration={}),
        *_NO_BUCKET,
    )


_NOTIFICATION = Kind(
    type="aws:s3/bucketNotification:BucketNotification",
    properties=names("bucket eventbridge lambdaFunctions queues topics region"),
    create=_put_notification,
    read=_read_notification,
    update=again(_put_notification),
    delete=_delete_notification,
    replace=names("bucket region"),
    identify=lambda inputs: inputs["bucket"],
)


def _put_logging(call: Call, inputs: Properties) -> str:
    enabled: dict[str, Any] = {
        "TargetBucket": inputs["targetBucket"],
        "TargetPrefix": inputs["targetPrefix"],
    }
    form = inputs.get("targetObjectKeyFormat")
    if form:
        enabled["TargetObjectKeyFormat"] = wire.encode(wire.named("s3", "TargetObjectKeyFormat"), form)
    call.client("s3").put_bucket_logging(
        Bucket=inputs["bucket"], BucketLoggingStatus={"LoggingEnabled": enabled}
    )
    return str(inputs["bucket"])


def _read_logging(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    answer = found(lambda: call.client("s3").get_bucket_logging(Bucket=id_), *_NO_BUCKET) or {}
    enabled = answer.get("LoggingEnabled")
    if not enabled:
        return None
    return {
        "bucket": id_,
        "targetBucket": enabled["TargetBucket"],
        "targetPrefix": enabled.get("TargetPrefix", ""),
    }


def _delete_logging(call: Call, id_: str, _inputs: Properties) -> None:
    gone(lambda: call.client("s3").put_bucket_logging(Bucket=id_, BucketLoggingStatus={}), *_NO_BUCKET)


_LOGGING = Kind(
    type="aws:s3/bucketLogging:BucketLogging",
    properties=names("bucket targetBucket targetPrefix targetObjectKeyFormat region"),
    create=_put_logging,
    read=_read_logging,
    update=again(_put_logging),
    delete=_delete_logging,
    replace=names("bucket region"),
    identify=lambda inputs: inputs["bucket"],
)

KINDS = (
    BUCKET,
    _VERSIONING,
    _ENCRYPTION.kind(),
    _PUBLIC_ACCESS.kind(),
    _OWNERSHIP.kind(),
    _POLICY,
    _LIFECYCLE,
    _NOTIFICATION,
    _LOGGING,
)
