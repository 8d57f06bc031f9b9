"""S3 objects (`aws_s3_object`)."""

from __future__ import annotations

import base64
import functools
import mimetypes
import urllib.parse
from typing import Any

from sandbox.deployer.interface import ProviderError
from sandbox.deployer.values import Asset, Properties

from . import wire
from .aws import Call, code_of, found, gone
from .kinds import Kind, Naming, names, tag_map

_MISSING = ("NoSuchKey", "NoSuchBucket", "404", "NotFound")
_HEADERS = (
    "acl bucketKeyEnabled cacheControl checksumAlgorithm contentDisposition contentEncoding contentLanguage "
    "contentType metadata serverSideEncryption storageClass websiteRedirect"
)
_CONTENT = ("content", "contentBase64", "source")
_DEFAULT_TYPE = "application/octet-stream"

wire.RENAMES.update(
    {
        ("PutObjectRequest", "acl"): "ACL",
        ("PutObjectRequest", "websiteRedirect"): "WebsiteRedirectLocation",
        ("HeadObjectOutput", "websiteRedirect"): "WebsiteRedirectLocation",
    }
)


def _body(inputs: Properties) -> bytes:
    if inputs.get("content") is not None:
        return str(inputs["content"]).encode()
    if inputs.get("contentBase64") is not None:
        return base64.b64decode(inputs["contentBase64"])
    source = inputs.get("source")
    if source is None:
        return b""
    if isinstance(source, Asset):
        return source.read()
    return bytes(source.zipped())


def _put(call: Call, inputs: Properties) -> str:
    bucket, key = inputs["bucket"], inputs["key"]
    headers = {name: inputs[name] for name in names(_HEADERS) if inputs.get(name) is not None}
    request: dict[str, Any] = wire.encode(wire.input_shape("s3", "PutObject"), headers)
    if inputs.get("kmsKeyId"):
        request.update(SSEKMSKeyId=inputs["kmsKeyId"], ServerSideEncryption="aws:kms")
    if call.tags:
        request["Tagging"] = urllib.parse.urlencode(call.tags)
    request.setdefault("ContentType", mimetypes.guess_type(key)[0] or _DEFAULT_TYPE)
    try:
        body = _body(inputs)
    except OSError as error:
        raise ProviderError(f"{bucket}/{key}: its source cannot be read: {error}") from error
    call.client("s3").put_object(Bucket=bucket, Key=key, Body=body, **request)
    return call.created(f"{bucket}/{key}")


def _read(call: Call, id_: str, inputs: Properties) -> Properties | None:
    bucket, _, key = id_.partition("/")
    s3 = call.client("s3")
    head = found(lambda: s3.head_object(Bucket=bucket, Key=key), *_MISSING)
    if head is None:
        return None
    tagging = s3.get_object_tagging(Bucket=bucket, Key=key)
    live = {
        "bucket": bucket,
        "key": key,
        "arn": f"arn:{call.aws.partition}:s3:::{id_}",
        "etag": head["ETag"].strip('"'),
        "versionId": head.get("VersionId"),
        "contentType": head.get("ContentType"),
        "metadata": head.get("Metadata") or {},
        "serverSideEncryption": head.get("ServerSideEncryption"),
        "storageClass": head.get("StorageClass") or "STANDARD",
        "tagsAll": tag_map(tagging.get("TagSet", [])),
    }
    for name in ("cacheControl", "contentDisposition", "contentEncoding", "contentLanguage"):
        live[name] = head.get(name[0].upper() + name[1:])
    if inputs.get("kmsKeyId"):
        live["kmsKeyId"] = head.get("SSEKMSKeyId")
    return live


def _update(call: Call, id_: str, old: Properties, new: Properties) -> None:
    changed = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    if changed - {"tags", "tagsAll", "forceDestroy"}:
        _put(call, new)
    elif "tagsAll" in changed:
        bucket, _, key = id_.partition("/")
        call.client("s3").put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": call.tag_list()})


def _delete(call: Call, id_: str, _inputs: Properties) -> None:
    """Delete every version of the key, as Terraform does."""
    bucket, _, key = id_.partition("/")
    s3 = call.client("s3")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    try:
        versions = [
            item["VersionId"]
            for page in pages
            for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if item["Key"] == key
        ]
    except s3.exceptions.ClientError as error:
        if code_of(error) in _MISSING:
            return
        raise
    for version in versions:
        gone(functools.partial(s3.delete_object, Bucket=bucket, Key=key, VersionId=version), *_MISSING)


def _check(inputs: Properties) -> list[tuple[str, str]]:
    given = [key for key in _CONTENT if inputs.get(key) is not None]
    return [("content", f"only one of {', '.join(given)} may be given")] if len(given) > 1 else []


OBJECT = Kind(
    type="aws:s3/bucketObjectv2:BucketObjectv2",
    properties=names(
        f"bucket key content contentBase64 source sourceHash kmsKeyId forceDestroy tags region {_HEADERS}"
    ),
    create=_put,
    read=_read,
    update=_update,
    delete=_delete,
    replace=names("bucket key region"),
    volatile={"*": names("etag versionId")},
    tags=True,
    naming=Naming("key", None, verbatim=True),
    identify=lambda inputs: f"{inputs['bucket']}/{inputs['key']}",
    validate=_check,
)


KINDS = (OBJECT,)
