"""Deletes objects for good: every version of a key, so that nobody can bring them back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from upkeep.errors import UpkeepError
from upkeep.runs import Clients

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_BATCH = 1000


def versions_of(context: Clients, key: str) -> list[dict[str, Any]]:
    """Versions and delete markers of exactly one key, newest first, as S3 lists them.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
    """
    pages = context.client("s3").get_paginator("list_object_versions")
    found: list[dict[str, Any]] = []
    for page in pages.paginate(Bucket=context.outputs.data_bucket, Prefix=key):
        found += [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [item for item in found if item["Key"] == key]


def erase(context: Clients, key: str, *, but: str | None = None) -> int:
    """Delete all versions of a key, or all but one; how many there were.

    Deleting a version by its id deletes it for good:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeletingObjectVersions.html

    Raises:
        UpkeepError: Some could not be deleted.
    """
    found = [item["VersionId"] for item in versions_of(context, key) if item["VersionId"] != but]
    for start in range(0, len(found), _BATCH):
        _delete(context, key, found[start : start + _BATCH])
    return len(found)


def _delete(context: Clients, key: str, versions: Iterable[str]) -> None:
    bucket = context.outputs.data_bucket
    listed = [{"Key": key, "VersionId": version} for version in versions]
    answer = context.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": listed, "Quiet": True})
    if errors := answer.get("Errors"):
        said = f"{errors[0].get('Code')}: {errors[0].get('Message')}"
        raise UpkeepError(
            f"s3://{bucket}/{key}: {len(errors)} of its versions could not be deleted: {said}. Run the same "
            "command again; it goes on where it stopped."
        )
