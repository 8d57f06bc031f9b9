"""The settings of a bucket that AWS puts, gets and deletes whole (`aws_s3_bucket_*`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.deployer.values import UNKNOWN, Properties

from . import schema, wire
from .aws import Call, found, gone
from .kinds import Kind, again, names
from .s3 import NO_BUCKET

wire.RENAMES.update(
    {
        ("ServerSideEncryptionByDefault", "sseAlgorithm"): "SSEAlgorithm",
        ("ServerSideEncryptionByDefault", "kmsMasterKeyId"): "KMSMasterKeyID",
    }
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
        answer = found(lambda: getattr(call.client("s3"), self.get)(Bucket=id_), self.missing, *NO_BUCKET)
        if answer is None:
            return None
        body = answer.get(self.block, answer)
        if not body:
            return None
        known = schema.of(self.type).outputs
        kinds = {key: known[key] for key in names(self.properties)}
        return {"bucket": id_, **wire.decode_fields(self.shape(), body, kinds)}

    def _delete(self, call: Call, id_: str, _inputs: Properties) -> None:
        gone(lambda: getattr(call.client("s3"), self.remove)(Bucket=id_), self.missing, *NO_BUCKET)


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
    answer = found(lambda: call.client("s3").get_bucket_versioning(Bucket=id_), *NO_BUCKET)
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
            *NO_BUCKET,
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
    answer = found(lambda: call.client("s3").get_bucket_policy(Bucket=id_), "NoSuchBucketPolicy", *NO_BUCKET)
    return None if answer is None else {"bucket": id_, "policy": answer["Policy"]}


def _delete_policy(call: Call, id_: str, _inputs: Properties) -> None:
    s3 = call.client("s3")
    gone(lambda: s3.delete_bucket_policy(Bucket=id_), "NoSuchBucketPolicy", *NO_BUCKET)


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
    answer = found(lambda: call.client("s3").get_bucket_logging(Bucket=id_), *NO_BUCKET) or {}
    enabled = answer.get("LoggingEnabled")
    if not enabled:
        return None
    return {
        "bucket": id_,
        "targetBucket": enabled["TargetBucket"],
        "targetPrefix": enabled.get("TargetPrefix", ""),
    }


def _delete_logging(call: Call, id_: str, _inputs: Properties) -> None:
    gone(lambda: call.client("s3").put_bucket_logging(Bucket=id_, BucketLoggingStatus={}), *NO_BUCKET)


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
    _VERSIONING,
    _ENCRYPTION.kind(),
    _PUBLIC_ACCESS.kind(),
    _OWNERSHIP.kind(),
    _POLICY,
    _LOGGING,
)
