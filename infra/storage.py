"""The stack's encryption key and its three buckets: data, artifacts, access logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.naming import Names
from infra.permissions import (
    Permission,
    on_behalf_of,
    resource_policy,
    service_statement,
    tls_only_statement,
)

ABORT_MULTIPART_DAYS = 7
ACCESS_LOG_DAYS = 365
KEY_DELETION_WINDOW_DAYS = 30

# What the account's administrators may do with the key; identity policies cannot give more than this. Spelled
# out, so that no `kms:*` is needed: https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
_KEY_ADMINISTRATION = (
    *("kms:CancelKeyDeletion", "kms:CreateAlias", "kms:CreateGrant", "kms:Decrypt", "kms:DeleteAlias"),
    *(
        "kms:DescribeKey",
        "kms:DisableKey",
        "kms:DisableKeyRotation",
        "kms:EnableKey",
        "kms:EnableKeyRotation",
    ),
    *("kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:GetKeyPolicy"),
    *("kms:GetKeyRotationStatus", "kms:ListAliases", "kms:ListGrants", "kms:ListKeyPolicies"),
    *("kms:ListKeyRotations", "kms:ListResourceTags", "kms:ListRetirableGrants", "kms:PutKeyPolicy"),
    *("kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:RevokeGrant", "kms:RotateKeyOnDemand"),
    *("kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias"),
    "kms:UpdateKeyDescription",
)

# What a check, an interrupted job or a reproduction leaves is of use while somebody looks into it.
WORKING_PREFIXES = ("checkpoints", "checks", "reproductions")
WORKING_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class StorageArgs:
    """What `Storage` needs.

    Attributes:
        names: Names of the stack.
        version_retention_days: How long replaced and deleted objects can be brought back.
        quarantine_retention_days: How long refused files, and refused rows of accepted files, are kept.
        capture_retention_days: How long recorded requests are kept.
        force_destroy: Whether a teardown deletes buckets that hold objects.
        protect: Whether buckets and key, with all their settings, refuse to be deleted.
    """

    names: Names
    version_retention_days: int
    quarantine_retention_days: int
    capture_retention_days: int
    force_destroy: bool
    protect: bool


class Storage(pulumi.ComponentResource):
    """Key and buckets.

    Attributes:
        key_arn: The key everything is encrypted with.
        data: Name of the bucket that files arrive in.
        artifacts: Name of the bucket of code, specs, models and decisions.
    """

    key_arn: pulumi.Output[str]
    data: pulumi.Output[str]
    artifacts: pulumi.Output[str]

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        # Inherited by all children: a bucket that is kept must keep its encryption, its policy and its rules.
        kept = pulumi.ResourceOptions(protect=args.protect)
        super().__init__("upkeep:storage:Storage", name, {}, pulumi.ResourceOptions.merge(opts, kept))
        self._name, self._args = name, args
        self.key = self._create_key()
        self.logs = self._create_bucket(
            "logs", encrypted=False, rules=[_expire("access-logs", "", ACCESS_LOG_DAYS)]
        )
        self.data_bucket = self._create_bucket(
            "data",
            rules=[
                _expire("quarantine", "quarantine/", args.quarantine_retention_days),
                _expire("rejected", "rejected/", args.quarantine_retention_days),
                _expire("capture", "capture/", args.capture_retention_days),
            ],
        )
        self.artifacts_bucket = self._create_bucket(
            "artifacts", rules=[_expire(kind, f"{kind}/", WORKING_DAYS) for kind in WORKING_PREFIXES]
        )
        aws.s3.BucketNotification(
            f"{name}-data-events",
            bucket=self.data_bucket.id,
            eventbridge=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.key_arn = self.key.arn
        self.data = self.data_bucket.bucket
        self.artifacts = self.artifacts_bucket.bucket
        self.register_outputs({"key_arn": self.key_arn, "data": self.data, "artifacts": self.artifacts})

    def read(self, sid: str, bucket: str, *patterns: str) -> Permission:
        """Read the objects of a bucket role (``data``, ``artifacts``) whose keys match."""
        return self._objects(sid, bucket, patterns, ["s3:GetObject"])

    def read_versions(self, sid: str, bucket: str, *patterns: str) -> Permission:
        """Read an exact version of an object, with what a copy of it takes along."""
        actions = ["s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:GetObjectVersionTagging"]
        return self._objects(sid, bucket, patterns, actions)

    def receive_copies(self, sid: str, bucket: str, *patterns: str) -> Permission:
        """Create objects as copies of others, tags included; very large ones part by part."""
        actions = ["s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectTagging"]
        return self._objects(sid, bucket, patterns, actions)

    def write(self, sid: str, bucket: str, *patterns: str) -> Permission:
        """Create and replace objects."""
        return self._objects(sid, bucket, patterns, ["s3:PutObject"])

    def remove_versions(self, sid: str, bucket: str, *patterns: str) -> Permission:
        """Delete exact versions for good; nothing can be hidden behind a delete marker with this."""
        return self._objects(sid, bucket, patterns, ["s3:DeleteObjectVersion"])

    def browse(self, sid: str, bucket: str, *prefixes: str, tell_missing: bool = False) -> Permission:
        """List keys below prefixes.

        Args:
            sid: What it is for.
            bucket: ``data`` or ``artifacts``.
            prefixes: Where.
            tell_missing: Whether reading an absent object is a 404 and not an AccessDenied. S3 asks for
                ``s3:ListBucket`` then, in a request without a prefix, which the condition must let through:
                https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
        names = self._args.names
        operator = "StringLikeIfExists" if tell_missing else "StringLike"
        return Permission(
            sid=sid,
            actions=["s3:ListBucket"],
            resources=[names.bucket_arn(names.bucket(bucket))],
            conditions={operator: {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
        )

    def browse_versions(self, sid: str, bucket: str, *prefixes: str) -> Permission:
        """List the versions of keys below prefixes, replaced and deleted ones too."""
        names = self._args.names
        return Permission(
            sid=sid,
            actions=["s3:ListBucketVersions"],
            resources=[names.bucket_arn(names.bucket(bucket))],
            conditions={"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
        )

    def decrypt(self) -> Permission:
        """Read what is encrypted with the stack's key."""
        return Permission(sid="Decrypt", actions=["kms:Decrypt"], resources=[self.key.arn])

    def encrypt(self, *more: str) -> Permission:
        """Read and write what is encrypted with the stack's key; more actions on the key where asked for."""
        actions = sorted(["kms:Decrypt", "kms:GenerateDataKey", *more])
        return Permission(sid="Encrypt", actions=actions, resources=[self.key.arn])

    def _objects(self, sid: str, bucket: str, patterns: Sequence[str], actions: Sequence[str]) -> Permission:
        names = self._args.names
        arns = [names.bucket_arn(names.bucket(bucket), pattern) for pattern in patterns]
        return Permission(sid=sid, actions=actions, resources=arns)

    def _create_key(self) -> aws.kms.Key:
        names, name = self._args.names, self._name
        root = f"arn:{names.partition}:iam::{names.account_id}:root"
        statements = [
            {
                "Sid": "Account",
                "Effect": "Allow",
                "Principal": {"AWS": root},
                "Action": list(_KEY_ADMINISTRATION),
                # In a key policy the resource is always this key.
                "Resource": "*",
            },
            # An alarm publishes to an encrypted topic with the key's help:
            # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
            service_statement(
                "Alarms",
                "cloudwatch.amazonaws.com",
                ["kms:Decrypt", "kms:GenerateDataKey"],
                "*",
                on_behalf_of(names.account_id),
            ),
        ]
        key = aws.kms.Key(
            f"{name}-key",
            description=f"Data, models and messages of {names.prefix}",
            enable_key_rotation=True,
            deletion_window_in_days=KEY_DELETION_WINDOW_DAYS,
            policy=resource_policy(statements),
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.kms.Alias(
            f"{name}-key-alias",
            name=f"alias/{names.prefix}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return key

    def _create_bucket(
        self,
        role: str,
        *,
        rules: Sequence[aws.s3.BucketLifecycleConfigurationRuleArgs],
        encrypted: bool = True,
    ) -> aws.s3.Bucket:
        args, name = self._args, f"{self._name}-{role}"
        child = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            name,
            bucket=args.names.bucket(role),
            force_destroy=args.force_destroy,
            opts=child,
        )
        versioning = aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=bucket.id,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=child,
        )
        self._encrypt(name, bucket, encrypted)
        aws.s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=bucket.id,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=child,
        )
        private = aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        policy = aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=bucket.id,
            policy=resource_policy(self._bucket_statements(role)),
            # S3 refuses the two settings at the same moment with a conflict.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[private]),
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=[_housekeeping(args.version_retention_days), *rules],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        if role == "logs":
            self._log_policy = policy
        else:
            aws.s3.BucketLogging(
                f"{name}-logging",
                bucket=bucket.id,
                target_bucket=self.logs.id,
                target_prefix=f"{role}/",
                opts=pulumi.ResourceOptions(parent=self, depends_on=[self._log_policy]),
            )
        return bucket

    def _encrypt(self, name: str, bucket: aws.s3.Bucket, encrypted: bool) -> None:
        # Access logs cannot be delivered to a bucket whose default is SSE-KMS:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
        default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="aws:kms" if encrypted else "AES256",
            kms_master_key_id=self.key.arn if encrypted else None,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.id,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=default,
                    # One data key per bucket and not per object: a hundredth of the calls to KMS.
                    bucket_key_enabled=True if encrypted else None,
                )
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _bucket_statements(self, role: str) -> list[dict[str, object]]:
        names = self._args.names
        arn, objects = names.bucket_arn(names.bucket(role)), names.bucket_arn(names.bucket(role), "*")
        statements = [tls_only_statement(["s3:*"], [arn, objects])]
        if role == "logs":
            statements.append(
                service_statement(
                    "AccessLogs",
                    "logging.s3.amazonaws.com",
                    ["s3:PutObject"],
                    objects,
                    on_behalf_of(names.account_id),
                )
            )
        return statements


def _housekeeping(version_days: int) -> aws.s3.BucketLifecycleConfigurationRuleArgs:
    """Replaced versions, what is left of deleted objects, and uploads that were never finished."""
    return aws.s3.BucketLifecycleConfigurationRuleArgs(
        id="housekeeping",
        status="Enabled",
        filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
        noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
            noncurrent_days=version_days
        ),
        expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(expired_object_delete_marker=True),
        abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
            days_after_initiation=ABORT_MULTIPART_DAYS
        ),
    )


def _expire(rule: str, prefix: str, days: int) -> aws.s3.BucketLifecycleConfigurationRuleArgs:
    return aws.s3.BucketLifecycleConfigurationRuleArgs(
        id=f"expire-{rule}",
        status="Enabled",
        filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=prefix),
        expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=days),
    )
