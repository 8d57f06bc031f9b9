"""Reads what a training job left in S3, without trusting its size or its shape."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

from models.spec import ModelSpec, parse
from training.aws import is_missing

MAX_ARCHIVE_BYTES = 20 * 1024 * 1024
MAX_DOCUMENT_BYTES = 5 * 1024 * 1024
ARCHIVE = "output.tar.gz"


class OutputError(Exception):
    """A job's output that is not there or not readable."""


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of ``s3://bucket/key``.

    Raises:
        OutputError: The text is no such URI.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise OutputError(f"found {uri!r}, expected s3://bucket/key")
    return bucket, key


def output_uri(model_data_url: str) -> str:
    """Where the job that made a ``model.tar.gz`` put its ``output.tar.gz``."""
    return f"{model_data_url.rpartition('/')[0]}/{ARCHIVE}"


def read_document(s3: Any, uri: str, name: str, *, bucket: str, owner: str) -> dict[str, Any]:
    """Read one JSON document out of an ``output.tar.gz``.

    Args:
        s3: boto3 client.
        uri: The archive.
        name: File in the archive.
        bucket: The only bucket it may lie in.
        owner: Account that must own the bucket.

    Raises:
        OutputError: Another bucket, an archive or document beyond the size limit, or no such document.
    """
    found, key = split_uri(uri)
    if found != bucket:
        raise OutputError(f"{uri}: found bucket {found!r}, expected {bucket!r}")
    try:
        answer = s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
    except s3.exceptions.ClientError as error:
        if is_missing(error, s3, bucket, key, owner):
            raise OutputError(f"{uri}: no such object; the training job wrote no output") from error
        raise
    if answer["ContentLength"] > MAX_ARCHIVE_BYTES:
        raise OutputError(f"{uri}: {answer['ContentLength']:,} bytes, at most {MAX_ARCHIVE_BYTES:,} are read")
    return document(answer["Body"].read(), name, uri)


def document(archive: bytes, name: str, source: str) -> dict[str, Any]:
    """One JSON object out of the bytes of a tar.gz; see ``read_document``."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                if member.name.removeprefix("./") != name or not member.isfile():
                    continue
                if member.size > MAX_DOCUMENT_BYTES:
                    raise OutputError(
                        f"{source}: {name} has {member.size:,} bytes, at most {MAX_DOCUMENT_BYTES:,}"
                    )
                file = tar.extractfile(member)
                data = json.loads(file.read() if file else b"")
                if isinstance(data, dict):
                    return data
                raise OutputError(f"{source}: {name}: found a {type(data).__name__}, expected an object")
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise OutputError(f"{source}: {name} cannot be read: {error}") from error
    raise OutputError(f"{source}: holds no {name}")


def read_spec(s3: Any, model: str, *, bucket: str, owner: str) -> ModelSpec | None:
    """The deployed spec of a model; None when the stack has no such model.

    Raises:
        SpecError: The stored spec cannot be used.
    """
    key = f"specs/{model}.json"
    try:
        body = s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)["Body"].read()
    except s3.exceptions.ClientError as error:
        if is_missing(error, s3, bucket, key, owner):
            return None
        raise
    return parse(json.loads(body), f"s3://{bucket}/{key}")
