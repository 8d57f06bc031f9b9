"""What SageMaker moves between S3 and a container's folders, with the role's own rights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.sagemaker import archive

_CHUNK_BYTES = 1024 * 1024
_MAX_MANIFEST_BYTES = 16 * 1024 * 1024


class DataError(Exception):
    """Data that could not be read or written; the text says what and why, as a FailureReason does."""


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an s3:// address; raises DataError for anything else."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise DataError(f'"{uri}" is not an S3 address (s3://bucket/key)')
    return bucket, key


def reason(error: Exception) -> str:
    """An S3 error in few words: AccessDenied: Access Denied."""
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        return f"{details.get('Code', 'Unknown')}: {details.get('Message', '')}"
    return f"{type(error).__name__}: {error}"


def code(error: Exception) -> str:
    """The code of an S3 error; empty when it never reached S3."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def download(s3: Any, bucket: str, key: str, target: Path) -> None:
    """Fetch one object into a file; raises DataError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
        with target.open("wb") as file:
            shutil.copyfileobj(body, file, _CHUNK_BYTES)
    except (ClientError, BotoCoreError) as error:
        raise DataError(
            f"Data download failed:Failed to download data. GetObject failed for s3://{bucket}/{key}: "
            f"{reason(error)}"
        ) from error


def upload(s3: Any, source: Path, uri: str, kms_key_id: str | None) -> None:
    """Store one file; raises DataError."""
    bucket, key = split(uri)
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id} if kms_key_id else {}
    try:
        with source.open("rb") as body:
            s3.put_object(Bucket=bucket, Key=key, Body=body, **encryption)
    except (ClientError, BotoCoreError) as error:
        raise DataError(f"PutObject failed for {uri}: {reason(error)}") from error


def fetch_folder(s3: Any, uri: str, folder: Path) -> None:
    """Fill a folder with everything below an address, which may be nothing; raises DataError."""
    folder.mkdir(parents=True, exist_ok=True)
    bucket, prefix = split(uri.rstrip("/") + "/")
    for key in keys_under(s3, bucket, prefix):
        download(s3, bucket, key, _inside(folder, key.removeprefix(prefix)))


def upload_folder(s3: Any, folder: Path, uri: str, kms_key_id: str | None) -> None:
    """Store every file of a folder below an address; raises DataError."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        upload(s3, path, f"{uri.rstrip('/')}/{path.relative_to(folder).as_posix()}", kms_key_id)


def keys_under(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    """The keys that begin with `prefix`, placeholders of folders (keys ending in /) left out.

    Raises DataError.
    """
    try:
        token: dict[str, str] = {}
        while True:
            page = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **token)
            for entry in page.get("Contents", []):
                if not entry["Key"].endswith("/"):
                    yield entry["Key"]
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}
    except (ClientError, BotoCoreError) as error:
        raise DataError(
            "Data download failed:Failed to download data. ListObjectsV2 failed for "
            f"s3://{bucket}/{prefix}: {reason(error)}"
        ) from error


def fetch_source(
    s3: Any, source: dict[str, Any], folder: Path, compression: str, *, region: str, role: str
) -> None:
    """Fill a channel's folder from an S3DataSource (S3Prefix or ManifestFile); raises DataError.

    A key lands at its path below the prefix's last folder: with the prefix s3://b/data/train, s3://b/data/train/a.csv
    becomes a.csv, and the single object s3://b/code/code.tar.gz becomes code.tar.gz (API_S3DataSource).
    """
    folder.mkdir(parents=True, exist_ok=True)
    kind, uri = source["S3DataType"], source["S3Uri"]
    if kind == "S3Prefix":
        bucket, prefix = split(uri)
        pairs = [(key, _below(key, prefix)) for key in keys_under(s3, bucket, prefix)]
    elif kind == "ManifestFile":
        bucket, pairs = _manifest(s3, uri, folder.parent / f".{folder.name}.manifest")
    else:
        raise DataError(f"the sandbox reads S3Prefix and ManifestFile channels, not {kind} ({uri})")
    if not pairs:
        raise DataError(
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the '
            "bucket "
            f"exists in the selected region ({region}), that objects exist under that S3 prefix, and that "
            "the role "
            f'"{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
        )
    for key, name in pairs:
        _fetch(s3, bucket, key, _inside(folder, name), compression)


def _below(key: str, prefix: str) -> str:
    if key == prefix:
        return PurePosixPath(key).name
    if prefix and not prefix.endswith("/") and key.startswith(prefix + "/"):
        return key[len(prefix) + 1 :]
    return key[prefix.rfind("/") + 1 :]


def _manifest(s3: Any, uri: str, scratch: Path) -> tuple[str, list[tuple[str, str]]]:
    """Bucket and (key, name) pairs of a manifest: [{"prefix": "s3://bucket/folder/"}, "name", ...]."""
    download(s3, *split(uri), scratch)
    try:
        if scratch.stat().st_size > _MAX_MANIFEST_BYTES:
            raise DataError(f"the manifest {uri} is larger than {_MAX_MANIFEST_BYTES} bytes")
        entries = json.loads(scratch.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"the manifest {uri} is not JSON: {error}") from error
    finally:
        scratch.unlink(missing_ok=True)
    if not (
        isinstance(entries, list) and entries and isinstance(entries[0], dict) and "prefix" in entries[0]
    ):
        raise DataError(f'the manifest {uri} does not begin with {{"prefix": "s3://..."}}')
    names = entries[1:]
    if wrong := [name for name in names if not isinstance(name, str) or not name]:
        raise DataError(f"the manifest {uri} has an entry that is not a key: {wrong[0]!r}")
    bucket, prefix = split(entries[0]["prefix"])
    return bucket, [(prefix + name, name) for name in names]


def _inside(folder: Path, name: str) -> Path:
    parts = PurePosixPath(name.lstrip("/"))
    if ".." in parts.parts:
        raise DataError(f'the key "{name}" would be written outside its channel')
    return folder / parts


def _fetch(s3: Any, bucket: str, key: str, target: Path, compression: str) -> None:
    if compression != "Gzip":
        download(s3, bucket, key, target)
        return
    zipped = target.with_name(target.name + ".download")
    download(s3, bucket, key, zipped)
    try:
        archive.gunzip(zipped, target.with_name(target.name.removesuffix(".gz")))
    except archive.ArchiveError as error:
        raise DataError(f"s3://{bucket}/{key}: {error}") from error
    finally:
        zipped.unlink(missing_ok=True)
