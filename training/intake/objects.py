"""Objects of the data bucket: read by version, written once, taken out of ``incoming/`` by version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training import clock
from training.aws import code, is_missing
from training.ledger.records import NO_VERSION

CHUNK_BYTES = 1024 * 1024
# Beyond 5 GB a copy has parts: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
_MAX_COPY_BYTES = 5 * 1000**3
_PUT_ATTEMPTS = 4
_PUT_WAIT_SECONDS = 0.5
_NO_SUCH_VERSION = ("InvalidArgument", "InvalidVersionId", "MethodNotAllowed", "405")


class GoneError(Exception):
    """The version cannot be taken; the text says what became of it."""


class IncompleteError(Exception):
    """Fewer bytes came than S3 announced."""


@dataclass(frozen=True)
class Opened:
    """A version of an object whose bytes can be read.

    Attributes:
        key: Its key.
        version_id: Its version; ``null`` without versions.
        etag: Of its content.
        size: Bytes.
        body: The stream of its bytes.
    """

    key: str
    version_id: str
    etag: str
    size: int
    body: Any

    def close(self) -> None:
        """Read no further."""
        self.body.close()

    def save(self, path: Path) -> str:
        """Write the bytes to a file; their SHA-256.

        Raises:
            IncompleteError: The connection broke off.
        """
        digest, count = hashlib.sha256(), 0
        with closing(self.body), path.open("wb") as file:
            for chunk in self.body.iter_chunks(CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
                count += len(chunk)
        if count != self.size:
            raise IncompleteError(f"{self.key}: {count:,} of {self.size:,} bytes came")
        return digest.hexdigest()


class Objects:
    """The data bucket, as the intake function uses it."""

    def __init__(self, s3: Any, bucket: str, account: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._account = account
        self._mine = {"Bucket": bucket, "ExpectedBucketOwner": account}

    def current(self, key: str) -> str | None:
        """The version that is current; None when there is none."""
        try:
            head = self._s3.head_object(Key=key, **self._mine)
        except self._s3.exceptions.ClientError as error:
            if self._is_missing(error, key):
                return None
            raise
        return str(head.get("VersionId", NO_VERSION))

    def open(self, key: str, version_id: str) -> Opened:
        """Open one version; a single call when it is the current one.

        Raises:
            GoneError: It is not there any more, or its owner has deleted the object.
        """
        now = self._get(key)
        if now and now.version_id == version_id:
            return now
        if now:
            now.close()
        found = self._get(key, version_id)
        if found is None:
            raise GoneError("this version is not there any more; nothing of it was taken")
        if now is None:
            found.close()
            raise GoneError("its owner deleted the object before it was looked at")
        return found

    def put_once(
        self, key: str, path: Path, sha256: str, metadata: Mapping[str, str], content_type: str
    ) -> str:
        """Write a file under a key that its own digest names; its version, whoever wrote it first.

        Raises:
            ValueError: Other bytes lie under this key.
        """
        for attempt in range(_PUT_ATTEMPTS):
            try:
                with path.open("rb") as file:
                    answer = self._s3.put_object(
                        Key=key,
                        Body=file,
                        IfNoneMatch="*",
                        ContentType=content_type,
                        Metadata={**metadata, "sha256": sha256},
                        **self._mine,
                    )
                return str(answer.get("VersionId", NO_VERSION))
            except self._s3.exceptions.ClientError as error:
                # Two writers at once: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
                if code(error) in ("ConditionalRequestConflict", "409"):
                    clock.sleep(_PUT_WAIT_SECONDS * (attempt + 1))
                    continue
                if code(error) not in ("PreconditionFailed", "412"):
                    raise
            found = self._version_with(key, sha256)
            if found:
                return found
        raise ValueError(f"{key}: cannot be written, though nothing lies there; try again")

    def put(self, key: str, path: Path, content_type: str) -> None:
        """Write a file."""
        with path.open("rb") as file:
            self._s3.put_object(Key=key, Body=file, ContentType=content_type, **self._mine)

    def put_text(self, key: str, text: str) -> None:
        """Write a JSON document."""
        self._s3.put_object(Key=key, Body=text.encode(), ContentType="application/json", **self._mine)

    def copy(self, opened: Opened, target: str) -> None:
        """Copy inside S3 exactly the version that was opened."""
        source = {"Bucket": self._bucket, "Key": opened.key, **_pinned(opened.version_id)}
        owners = {"ExpectedBucketOwner": self._account, "ExpectedSourceBucketOwner": self._account}
        if opened.size > _MAX_COPY_BYTES:
            self._s3.copy(source, self._bucket, target, ExtraArgs=owners)
        else:
            self._s3.copy_object(CopySource=source, Bucket=self._bucket, Key=target, **owners)

    def remove(self, key: str, version_id: str) -> None:
        """Take one version away; a newer one stays, and there is no delete marker."""
        self._s3.delete_object(Key=key, VersionId=version_id, **self._mine)

    def _get(self, key: str, version_id: str = "") -> Opened | None:
        try:
            answer = self._s3.get_object(Key=key, **_pinned(version_id), **self._mine)
        except self._s3.exceptions.ClientError as error:
            if version_id and code(error) in _NO_SUCH_VERSION:
                return None  # an id S3 never gave, or that of a delete marker
            if self._is_missing(error, key):
                return None
            raise
        return Opened(
            key,
            str(answer.get("VersionId", NO_VERSION)),
            str(answer["ETag"]),
            int(answer["ContentLength"]),
            answer["Body"],
        )

    def _version_with(self, key: str, sha256: str) -> str | None:
        try:
            head = self._s3.head_object(Key=key, **self._mine)
        except self._s3.exceptions.ClientError as error:
            if self._is_missing(error, key):
                return None
            raise
        found = head.get("Metadata", {}).get("sha256")
        if found != sha256:
            raise ValueError(f"{key}: found an object with SHA-256 {found}, expected {sha256}")
        return str(head.get("VersionId", NO_VERSION))

    def _is_missing(self, error: Exception, key: str) -> bool:
        return is_missing(error, self._s3, self._bucket, key, self._account)


def _pinned(version_id: str) -> dict[str, str]:
    """The argument that names a version; without one S3 gives the current version."""
    return {"VersionId": version_id} if version_id else {}
