"""What was registered with a model, and whether it is still that: artifact, data manifest and decision.

The package's metadata holds the SHA-256 of all three. The release verifies them right before it uses the
artifact; the passport inside the artifact, whose SHA-256 is registered too, is verified again by the loader
in the container, which then verifies every other file before anything is unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from training.aws import is_missing
from training.outputs import OutputError, split_uri
from training.registry.steadily import steadily

PASSPORT_VARIABLE, VERSION_VARIABLE = "UPKEEP_PASSPORT_SHA256", "UPKEEP_MODEL_VERSION"
MAX_DOCUMENT_BYTES = 50 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
_REQUIRED = (
    "run_id", "version", "decision", "artifact_sha256", "passport_sha256", "model_digest",
    "manifest_uri", "manifest_sha256", "decision_uri", "decision_sha256",
)  # fmt: skip
# What the decision says of itself and the package repeats.
_REPEATED = (
    "run_id", "version", "decision", "artifact_sha256", "passport_sha256", "model_digest",
    "manifest_uri", "manifest_sha256",
)  # fmt: skip


class PassportError(Exception):
    """Something is no longer what was registered; the text names what, what was found and what to do."""


def verify(
    s3: Any,
    metadata: Mapping[str, str],
    *,
    model_data_url: str,
    artifacts_bucket: str,
    data_bucket: str,
    owner: str,
) -> None:
    """Read artifact, manifest and decision and compare them with what the package says.

    The artifact's bytes decide: the same bytes under another version id, as after a restoration from an older
    version of the object, are the same model.

    Args:
        s3: boto3 client.
        metadata: The package's ``CustomerMetadataProperties``.
        model_data_url: What is about to be served.
        artifacts_bucket: The only bucket that model and decision may lie in.
        data_bucket: The only one that the manifest may lie in.
        owner: Account that must own both.

    Raises:
        PassportError: Names the first of the three that differs, is gone or lies elsewhere.
    """
    missing = [name for name in _REQUIRED if metadata.get(name, "") in ("", "none")]
    if missing:
        raise PassportError(
            f"the package holds no {', '.join(missing)}; it was registered without a passport. Train it again"
        )
    _verify_decision(s3, metadata, model_data_url, artifacts_bucket, owner)
    _verify_bytes(s3, metadata, "manifest", metadata["manifest_uri"], data_bucket, owner)
    _verify_bytes(s3, metadata, "artifact", model_data_url, artifacts_bucket, owner)


def container_environment(metadata: Mapping[str, str]) -> dict[str, str]:
    """What the container is told of the model it is to load; nothing for one without a passport."""
    wanted = {PASSPORT_VARIABLE: "passport_sha256", VERSION_VARIABLE: "version"}
    found = {variable: metadata.get(name, "") for variable, name in wanted.items()}
    return {variable: value for variable, value in found.items() if value not in ("", "none")}


def sha256_of(s3: Any, uri: str, *, bucket: str, owner: str, version_id: str = "") -> tuple[str, str]:
    """SHA-256 and version id of an object, read in pieces.

    Raises:
        PassportError: It is gone, or lies in another bucket.
    """

    def read() -> tuple[str, str]:
        answer = _open(s3, uri, bucket, owner, version_id)
        total = hashlib.sha256()
        while chunk := answer["Body"].read(_CHUNK_BYTES):
            total.update(chunk)
        return total.hexdigest(), str(answer.get("VersionId") or "")

    return steadily(read)


def _verify_bytes(s3: Any, metadata: Mapping[str, str], what: str, uri: str, bucket: str, owner: str) -> None:
    found, version_id = sha256_of(s3, uri, bucket=bucket, owner=owner)
    expected = metadata[f"{what}_sha256"]
    if found == expected:
        return
    registered = metadata.get(f"{what}_version_id", "")
    where = f" (object version {version_id}, registered was {registered})" if registered else ""
    raise PassportError(
        f"{what} {uri}: found SHA-256 {found}, registered was {expected}{where}; it was changed after its "
        "registration. Restore the registered bytes, or train again"
    )


def _verify_decision(
    s3: Any, metadata: Mapping[str, str], model_data_url: str, bucket: str, owner: str
) -> None:
    uri = metadata["decision_uri"]
    body: bytes = steadily(lambda: _open(s3, uri, bucket, owner)["Body"].read(MAX_DOCUMENT_BYTES))
    found = hashlib.sha256(body).hexdigest()
    if found != metadata["decision_sha256"]:
        raise PassportError(
            f"decision {uri}: found SHA-256 {found}, registered was {metadata['decision_sha256']}; it was "
            "changed after its registration"
        )
    decision = json.loads(body)
    if not isinstance(decision, dict):
        raise PassportError(f"decision {uri}: found a {type(decision).__name__}, which is no decision")
    told = {name: str(decision.get(name)) for name in _REPEATED}
    for name, value in told.items():
        if value != metadata[name]:
            raise PassportError(f"decision {uri}: {name} is {value}, the package says {metadata[name]}")
    if decision.get("model_data_url") != model_data_url:
        raise PassportError(
            f"decision {uri}: about {decision.get('model_data_url')}, the package holds {model_data_url}"
        )


def _open(s3: Any, uri: str, bucket: str, owner: str, version_id: str = "") -> Any:
    try:
        found, key = split_uri(uri)
    except OutputError as error:
        raise PassportError(str(error)) from error
    if found != bucket:
        raise PassportError(f"{uri}: found bucket {found!r}, expected {bucket!r}")
    exact = {"VersionId": version_id} if version_id else {}
    try:
        return s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner, **exact)
    except s3.exceptions.ClientError as error:
        if is_missing(error, s3, bucket, key, owner):
            raise PassportError(f"{uri}: no such object; it was deleted after its registration") from error
        raise
