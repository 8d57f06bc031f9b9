"""Objects that are written once and never again: claims, decisions, reports."""

from __future__ import annotations

from typing import Any

from training.aws import code

# Somebody else's write of the same key was under way: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
_CONFLICT = ("ConditionalRequestConflict", "409")
_THERE = ("PreconditionFailed", "412")
_TRIES = 3


def put(s3: Any, bucket: str, key: str, body: bytes, content_type: str, owner: str) -> bytes:
    """Write an object unless there is one, and say what is there.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html

    Returns:
        The bytes given, or those that were there first.
    """
    for left in reversed(range(_TRIES)):
        try:
            s3.put_object(
                Bucket=bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                IfNoneMatch="*",
                ExpectedBucketOwner=owner,
            )
        except s3.exceptions.ClientError as error:
            if code(error) in _THERE:
                break
            if code(error) not in _CONFLICT or not left:
                raise
        else:
            return body
    found: bytes = s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)["Body"].read()
    return found
