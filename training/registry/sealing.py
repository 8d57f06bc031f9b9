"""Looks at the bytes that a decision will be about: artifact, data manifest, and the champion's version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.aws import is_missing
from training.outputs import OutputError, split_uri
from training.registry import inspection, passport
from training.registry.inspection import Inspected
from training.registry.steadily import steadily


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """The bytes that a decision is about.

    Attributes:
        model_data_url: The artifact.
        artifact: What was found in it.
        artifact_version_id: S3's id of the version that was looked at.
        manifest_sha256: Of the data manifest.
        champion_version_id: S3's id of the champion's artifact when the challenger was judged; '' when that
            is gone.
    """

    model_data_url: str
    artifact: Inspected
    artifact_version_id: str
    manifest_sha256: str
    champion_version_id: str


def seal(
    s3: Any,
    event: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    *,
    artifacts_bucket: str,
    data_bucket: str,
    owner: str,
) -> Sealed:
    """Read the bytes, each once.

    Args:
        s3: boto3 client.
        event: What the judge was asked.
        evaluation: The job's findings, which must be about this artifact.
        artifacts_bucket: The only bucket that artifacts may lie in.
        data_bucket: The only one that the manifest may lie in.
        owner: Account that must own both.

    Raises:
        OutputError: The artifact is gone, elsewhere, or another one than the evaluation is about.
        ArtifactError: It is none that the loader would take.
        PassportError: The manifest is gone or elsewhere.
    """
    url = str(event["training_job"]["ModelArtifacts"]["S3ModelArtifacts"])
    bucket, key = split_uri(url)
    if bucket != artifacts_bucket:
        raise OutputError(f"{url}: found bucket {bucket!r}, expected {artifacts_bucket!r}")
    artifact, version_id = steadily(lambda: _inspect(s3, url, bucket, key, owner))
    expected = {
        "model": event["model"],
        "run_id": event["run_id"],
        "model_digest": evaluation.get("model_digest"),
    }
    for name, value in expected.items():
        if artifact.passport.get(name) != value:
            found = artifact.passport.get(name)
            raise OutputError(f"{url}: its passport says {name} {found!r}, expected {value!r}")
    manifest, _ = passport.sha256_of(s3, str(event["manifest_uri"]), bucket=data_bucket, owner=owner)
    return Sealed(
        model_data_url=url,
        artifact=artifact,
        artifact_version_id=version_id,
        manifest_sha256=manifest,
        champion_version_id=_version_id(s3, str(event.get("champion_url") or ""), artifacts_bucket, owner),
    )


def _inspect(s3: Any, url: str, bucket: str, key: str, owner: str) -> tuple[Inspected, str]:
    """What is in the artifact, and S3's id of the version that was looked at."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
    except s3.exceptions.ClientError as error:
        if is_missing(error, s3, bucket, key, owner):
            raise OutputError(f"{url}: no such object; the training job left no model") from error
        raise
    found = inspection.inspect(answer["Body"], key.rpartition("/")[2])
    return found, str(answer.get("VersionId") or "")


def _version_id(s3: Any, uri: str, artifacts_bucket: str, owner: str) -> str:
    bucket, key = split_uri(uri) if uri else ("", "")
    if bucket != artifacts_bucket:
        return ""
    try:
        answer = s3.head_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
    except s3.exceptions.ClientError as error:
        if is_missing(error, s3, bucket, key, owner):
            return ""
        raise
    return str(answer.get("VersionId") or "")
