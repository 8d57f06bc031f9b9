"""What a teardown leaves because it is protected: what it holds, and how it goes when asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from upkeep.context import client
from upkeep.errors import UpkeepError, is_gone

if TYPE_CHECKING:
    import boto3

BUCKET, TABLE, KEY = "aws:s3/bucket:Bucket", "aws:dynamodb/table:Table", "aws:kms/key:Key"
_NOUNS = {BUCKET: "bucket", TABLE: "table", KEY: "encryption key"}
# Counting stops here: a bucket of years has millions.
_MOST_COUNTED = 10_000


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A protected resource that holds something; settings of others do not count.

    Attributes:
        type: Pulumi's type.
        id: The provider's id: a bucket's or table's name, a key's id.
    """

    type: str
    id: str

    @property
    def noun(self) -> str:
        """What people call it."""
        return _NOUNS[self.type]


def of_resources(resources: Mapping[str, str]) -> list[Kept]:
    """The things worth naming among protected resources, given as URN to id."""
    found = [Kept(type=_type(urn), id=id_) for urn, id_ in resources.items() if _type(urn) in _NOUNS]
    return sorted(found, key=lambda kept: (list(_NOUNS).index(kept.type), kept.id))


def of_export(text: str) -> list[Kept]:
    """The same of what ``pulumi stack export`` prints.

    Raises:
        UpkeepError: It is no such document.
    """
    try:
        resources = json.loads(text)["deployment"].get("resources") or []
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UpkeepError(f"`pulumi stack export` printed no state that can be read: {error}") from error
    return of_resources({item["urn"]: item.get("id", "") for item in resources if item.get("protect")})


def words(session: boto3.Session, region: str, kept: Iterable[Kept]) -> list[str]:
    """A line about each: what it is and what is in it."""
    lines = []
    for one in kept:
        line = f"{one.noun} {one.id}"
        if one.type == BUCKET:
            line += f": {_contents(client(session, 's3', region), one.id)}"
        elif one.type == TABLE:
            line += f": {_items(client(session, 'dynamodb', region), one.id)}"
        lines.append(line)
    return lines


def give_up(
    session: boto3.Session, region: str, kept: Iterable[Kept], report: Callable[[str], None] = lambda _l: None
) -> None:
    """Empty the buckets, old versions included, and lift the tables' own protection; nothing comes back."""
    for one in kept:
        if one.type == BUCKET:
            count = _empty(client(session, "s3", region), one.id)
            report(f"deleted {count} object versions of {one.id}")
        elif one.type == TABLE:
            _lift(client(session, "dynamodb", region), one.id)


def _type(urn: str) -> str:
    """The type in ``urn:pulumi:<stack>::<project>::<parents>$<type>::<name>``."""
    parts = urn.split("::")
    return parts[2].rpartition("$")[2] if len(parts) > 3 else ""


def _contents(s3: Any, bucket: str) -> str:
    count = size = 0
    for page in _pages(s3, bucket):
        versions = page.get("Versions", [])
        count += len(versions)
        size += sum(version["Size"] for version in versions)
        if count >= _MOST_COUNTED:
            return f"more than {count:,} object versions"
    noun = "object version" if count == 1 else "object versions"
    return f"{count:,} {noun}, {size / 1e6:,.1f} MB" if count else "empty"


def _items(dynamodb: Any, table: str) -> str:
    """DynamoDB counts a table's items about every six hours: API_TableDescription."""
    return f"about {dynamodb.describe_table(TableName=table)['Table']['ItemCount']:,} items"


def _empty(s3: Any, bucket: str) -> int:
    count = 0
    for page in _pages(s3, bucket):
        # A page has a thousand entries at most, which is what one call may delete.
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
        if not objects:
            continue
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if answer.get("Errors"):
            first = answer["Errors"][0]
            raise UpkeepError(f"s3://{bucket}/{first['Key']} was not deleted: {first.get('Message')}")
        count += len(objects)
    return count


def _pages(s3: Any, bucket: str) -> Iterable[Mapping[str, Any]]:
    try:
        yield from s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
    except s3.exceptions.ClientError as error:
        if not is_gone(error):
            raise


def _lift(dynamodb: Any, table: str) -> None:
    try:
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    except dynamodb.exceptions.ClientError as error:
        if not is_gone(error):
            raise
