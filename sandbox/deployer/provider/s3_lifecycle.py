"""The lifecycle rules of a bucket (`aws_s3_bucket_lifecycle_configuration`)."""

from __future__ import annotations

from typing import Any

from sandbox.deployer.values import Properties

from . import schema, wire
from .aws import Call, found, gone
from .kinds import Kind, again, names
from .s3 import NO_BUCKET

wire.RENAMES.update(
    {
        ("BucketLifecycleConfiguration", "rules"): "Rules",
        ("LifecycleRule", "id"): "ID",
        ("LifecycleRuleAndOperator", "tags"): "Tags",
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
        *NO_BUCKET,
    )
    if answer is None:
        return None
    kind = schema.of(_LIFECYCLE.type).outputs["rules"]
    rules = wire.decode(wire.named("s3", "LifecycleRules"), answer.get("Rules", []), kind)
    return {"bucket": id_, "rules": rules}


def _delete_lifecycle(call: Call, id_: str, _inputs: Properties) -> None:
    gone(lambda: call.client("s3").delete_bucket_lifecycle(Bucket=id_), *NO_BUCKET)


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

KINDS = (_LIFECYCLE,)
