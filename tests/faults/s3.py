"""Versioned buckets in memory, with the conditions and errors of S3."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from botocore.response import StreamingBody

from tests.faults.account import ACCOUNT, Clock, RefusedError

_PAGE = 1000


@dataclass(frozen=True)
class Version:
    """One version of an object, or a delete marker."""

    key: str
    version_id: str
    body: bytes
    modified: float
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "binary/octet-stream"
    marker: bool = False

    @property
    def etag(self) -> str:
        """The entity tag, quoted as S3 does."""
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


class S3:
    """Buckets; every write is told to ``written``.

    Attributes:
        buckets: Bucket to key to versions, the current one last.
        written: Called with bucket, version and the event's reason after each new object.
        log: All that was written or removed, in order: (time, what, bucket, key, version id).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.buckets: dict[str, dict[str, list[Version]]] = {}
        self.uploads: dict[str, tuple[str, str, dict[int, bytes]]] = {}
        self.written: Callable[[str, Version, str], None] = lambda bucket, version, reason: None
        self.log: list[tuple[float, str, str, str, str]] = []
        self._counts: Counter[str] = Counter()

    def perform(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a call."""
        if params.get("ExpectedBucketOwner", ACCOUNT) != ACCOUNT:
            raise RefusedError("AccessDenied", 403)
        method = getattr(self, f"_{operation}", None)
        if method is None:
            raise NotImplementedError(operation)
        found: dict[str, Any] = method(params)
        return found

    def current(self, bucket: str, key: str) -> Version | None:
        """The object as a plain GET sees it."""
        versions = self._bucket(bucket).get(key)
        return versions[-1] if versions and not versions[-1].marker else None

    def version(self, bucket: str, key: str, version_id: str) -> Version | None:
        """One version, delete markers included."""
        found = [v for v in self._bucket(bucket).get(key, ()) if v.version_id == version_id]
        return found[0] if found else None

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """The keys of current objects."""
        return sorted(
            key
            for key, versions in self._bucket(bucket).items()
            if key.startswith(prefix) and not versions[-1].marker
        )

    def versions(self, bucket: str, prefix: str = "") -> list[Version]:
        """All versions there are, without delete markers."""
        found = [vs for key, vs in sorted(self._bucket(bucket).items()) if key.startswith(prefix)]
        return [version for versions in found for version in versions if not version.marker]

    def put(self, bucket: str, key: str, body: bytes, reason: str = "PutObject", **more: Any) -> Version:
        """Write an object."""
        version = Version(key, self._new_id(key), body, self._clock.now, **more)
        self._bucket(bucket).setdefault(key, []).append(version)
        self.log.append((self._clock.now, "put", bucket, key, version.version_id))
        self.written(bucket, version, reason)
        return version

    def delete(self, bucket: str, key: str, version_id: str | None = None) -> str:
        """Put a delete marker on the key, or remove one version for good."""
        versions = self._bucket(bucket).get(key, [])
        if version_id is None:
            marker = Version(key, self._new_id(key), b"", self._clock.now, marker=True)
            self._bucket(bucket).setdefault(key, []).append(marker)
            self.log.append((self._clock.now, "mark", bucket, key, marker.version_id))
            return marker.version_id
        kept = [version for version in versions if version.version_id != version_id]
        if len(kept) != len(versions):
            self.log.append((self._clock.now, "delete", bucket, key, version_id))
        if kept:
            self._bucket(bucket)[key] = kept
        else:
            self._bucket(bucket).pop(key, None)
        return version_id

    def _new_id(self, key: str) -> str:
        """The same for the same write in another story, so that their ends can be compared."""
        self._counts[key] += 1
        return hashlib.sha256(f"{key} version {self._counts[key]}".encode()).hexdigest()[:32]

    def _bucket(self, name: str) -> dict[str, list[Version]]:
        if name not in self.buckets:
            raise RefusedError("NoSuchBucket", 404)
        return self.buckets[name]

    def _find(self, params: Mapping[str, Any], *, head: bool = False) -> Version:
        versions = self._bucket(params["Bucket"]).get(params["Key"], [])
        if wanted := params.get("VersionId"):
            versions = [version for version in versions if version.version_id == wanted]
            if not versions:
                raise RefusedError("404" if head else "NoSuchVersion", 404)
            if versions[0].marker:
                raise RefusedError("405" if head else "MethodNotAllowed", 405)
        if not versions or versions[-1].marker:
            raise RefusedError("404" if head else "NoSuchKey", 404)
        found = versions[-1]
        if params.get("IfMatch", found.etag).strip('"') != found.etag.strip('"'):
            raise RefusedError("412" if head else "PreconditionFailed", 412)
        return found

    def _check_free(self, params: Mapping[str, Any]) -> None:
        """The conditions of a write."""
        current = self.current(params["Bucket"], params["Key"])
        if params.get("IfNoneMatch") == "*" and current is not None:
            raise RefusedError("PreconditionFailed", 412)
        wanted = params.get("IfMatch")
        if wanted and current is None:
            raise RefusedError("NoSuchKey", 404)
        if wanted and current and wanted.strip('"') != current.etag.strip('"'):
            raise RefusedError("PreconditionFailed", 412)

    def _PutObject(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        self._check_free(params)
        body = params.get("Body", b"")
        made = self.put(
            params["Bucket"],
            params["Key"],
            body.encode() if isinstance(body, str) else bytes(body),
            metadata=dict(params.get("Metadata", {})),
            content_type=params.get("ContentType", "binary/octet-stream"),
        )
        return {"ETag": made.etag, "VersionId": made.version_id}

    def _described(self, found: Version) -> dict[str, Any]:
        return {
            "ETag": found.etag,
            "VersionId": found.version_id,
            "ContentLength": len(found.body),
            "ContentType": found.content_type,
            "LastModified": datetime.fromtimestamp(int(found.modified), UTC),
            "Metadata": dict(found.metadata),
        }

    def _HeadObject(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._described(self._find(params, head=True))

    def _GetObject(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._find(params)
        body = found.body
        answer = self._described(found)
        if asked := params.get("Range"):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            if int(first) >= len(body):
                raise RefusedError("InvalidRange", 416)
            part = body[int(first) : int(last) + 1 if last else None]
            answer["ContentRange"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}"
            body = part
            answer["ContentLength"] = len(body)
        return answer | {"Body": StreamingBody(io.BytesIO(body), len(body))}

    def _CopyObject(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        source = params["CopySource"]
        if isinstance(source, str):
            path, _, version = unquote(source).partition("?versionId=")
            bucket, _, key = path.lstrip("/").partition("/")
            source = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})
        if params.get("ExpectedSourceBucketOwner", ACCOUNT) != ACCOUNT:
            raise RefusedError("AccessDenied", 403)
        found = self._find(source)
        if params.get("CopySourceIfMatch", found.etag).strip('"') != found.etag.strip('"'):
            raise RefusedError("PreconditionFailed", 412)
        self._check_free(params)
        replace = params.get("MetadataDirective") == "REPLACE"
        made = self.put(
            params["Bucket"],
            params["Key"],
            found.body,
            "CopyObject",
            metadata=dict(params.get("Metadata", {})) if replace else found.metadata,
            content_type=params.get("ContentType", found.content_type) if replace else found.content_type,
        )
        return {
            "CopyObjectResult": {
                "ETag": made.etag,
                "LastModified": datetime.fromtimestamp(made.modified, UTC),
            },
            "VersionId": made.version_id,
            "CopySourceVersionId": found.version_id,
        }

    def _DeleteObject(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        if wanted := params.get("IfMatch"):
            current = self.current(params["Bucket"], params["Key"])
            if current is None or current.etag.strip('"') != wanted.strip('"'):
                raise RefusedError("PreconditionFailed", 412)
        made = self.delete(params["Bucket"], params["Key"], params.get("VersionId"))
        return {"VersionId": made, "DeleteMarker": "VersionId" not in params}

    def _ListObjectsV2(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        bucket, prefix = self._bucket(params["Bucket"]), params.get("Prefix", "")
        after = params.get("ContinuationToken") or params.get("StartAfter") or ""
        delimiter, most = params.get("Delimiter"), min(params.get("MaxKeys", _PAGE), _PAGE)
        contents: list[dict[str, Any]] = []
        folders: list[str] = []
        token = None
        for key in self.keys(params["Bucket"], prefix):
            if key <= after or any(key.startswith(folder) for folder in folders):
                continue
            if len(contents) + len(folders) == most:
                token = contents[-1]["Key"] if contents else folders[-1] + "\uffff"
                break
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.append(prefix + rest.partition(delimiter)[0] + delimiter)
                continue
            version = bucket[key][-1]
            contents.append(
                {
                    "Key": key,
                    "Size": len(version.body),
                    "ETag": version.etag,
                    "LastModified": datetime.fromtimestamp(int(version.modified), UTC),
                }
            )
        answer: dict[str, Any] = {"KeyCount": len(contents) + len(folders), "IsTruncated": token is not None}
        if contents:
            answer["Contents"] = contents
        if folders:
            answer["CommonPrefixes"] = [{"Prefix": folder} for folder in folders]
        return answer | ({"NextContinuationToken": token} if token else {})

    def _ListObjectVersions(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        prefix, most = params.get("Prefix", ""), min(params.get("MaxKeys", _PAGE), _PAGE)
        marker = (params.get("KeyMarker", ""), params.get("VersionIdMarker", ""))
        rows = [
            (key, version, number == 0)
            for key, versions in sorted(self._bucket(params["Bucket"]).items())
            if key.startswith(prefix)
            for number, version in enumerate(reversed(versions))
        ]
        if marker[0] and not marker[1]:
            rows = [row for row in rows if row[0] > marker[0]]
        elif marker[0]:
            places = [i for i, row in enumerate(rows) if (row[0], row[1].version_id) == marker]
            rows = rows[places[0] + 1 :] if places else [row for row in rows if row[0] > marker[0]]
        page, more = rows[:most], len(rows) > most
        answer: dict[str, Any] = {"IsTruncated": more}
        for key, version, latest in page:
            common = {
                "Key": key,
                "VersionId": version.version_id,
                "IsLatest": latest,
                "LastModified": datetime.fromtimestamp(int(version.modified), UTC),
            }
            if version.marker:
                answer.setdefault("DeleteMarkers", []).append(common)
            else:
                size = {"Size": len(version.body), "ETag": version.etag}
                answer.setdefault("Versions", []).append(common | size)
        if more:
            answer |= {"NextKeyMarker": page[-1][0], "NextVersionIdMarker": page[-1][1].version_id}
        return answer

    def _CreateMultipartUpload(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        upload = self._new_id(f"upload of {params['Key']}")
        self.uploads[upload] = (params["Bucket"], params["Key"], {})
        return {"UploadId": upload}

    def _UploadPart(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        _, _, parts = self._upload(params)
        parts[params["PartNumber"]] = bytes(params["Body"])
        return {"ETag": f'"{hashlib.md5(params["Body"], usedforsecurity=False).hexdigest()}"'}

    def _CompleteMultipartUpload(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        bucket, key, parts = self._upload(params)
        body = b"".join(parts[part["PartNumber"]] for part in params["MultipartUpload"]["Parts"])
        self._check_free({**params, "Bucket": bucket, "Key": key})
        made = self.put(bucket, key, body, "CompleteMultipartUpload")
        del self.uploads[params["UploadId"]]
        return {"ETag": made.etag, "VersionId": made.version_id, "Bucket": bucket, "Key": key}

    def _AbortMultipartUpload(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._upload(params)
        del self.uploads[params["UploadId"]]
        return {}

    def _upload(self, params: Mapping[str, Any]) -> tuple[str, str, dict[int, bytes]]:
        if params["UploadId"] not in self.uploads:
            raise RefusedError("NoSuchUpload", 404)
        return self.uploads[params["UploadId"]]
