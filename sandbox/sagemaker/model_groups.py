"""The operations on model package groups."""

from __future__ import annotations

from typing import Any

from sandbox.sagemaker import errors, shapes
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.listing import Listing
from sandbox.sagemaker.store import Record, Store

KIND = "model_package_group"
_LISTING = Listing(
    "ListModelPackageGroups", "ModelPackageGroupSummaryList", "ModelPackageGroupName", descending=False
)


class ModelGroups:
    """CreateModelPackageGroup and the rest."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """CreateModelPackageGroup."""
        store, name = self._context.store, params["ModelPackageGroupName"]
        with store.lock:
            if (taken := store.find(KIND, name)) is not None:
                raise errors.group_exists(taken.arn)
            record = store.add(KIND, name, params, self._context.clock.now())
            record.fields |= {
                "ModelPackageGroupArn": record.arn,
                "ModelPackageGroupStatus": "Completed",
                "CreatedBy": {},
            }
        return shapes.project("CreateModelPackageGroup", {"ModelPackageGroupArn": record.arn})

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """DescribeModelPackageGroup, by name or ARN."""
        with self._context.store.lock:
            record = find(self._context.store, params["ModelPackageGroupName"])
            return shapes.project("DescribeModelPackageGroup", record.values())

    def list_all(self, params: dict[str, Any]) -> dict[str, Any]:
        """ListModelPackageGroups."""
        with self._context.store.lock:
            return _LISTING.page(self._context.store.all(KIND), params)

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """DeleteModelPackageGroup: only an empty group goes (the API declares ConflictException for it)."""
        store = self._context.store
        with store.lock:
            record = find(store, params["ModelPackageGroupName"])
            inside = [
                p for p in store.all("model_package") if p.request.get("ModelPackageGroupName") == record.name
            ]
            if inside:
                raise errors.conflict(
                    f"Model Package Group {record.arn} still contains {len(inside)} model package "
                    "version(s), "
                    f"such as {inside[-1].arn}. Delete them first."
                )
            store.remove(record)
        return {}


def find(store: Store, name_or_arn: str) -> Record:
    """The group of that name or ARN; raises ApiError."""
    by_arn = name_or_arn.startswith("arn:")
    record = store.find_arn(name_or_arn) if by_arn else store.find(KIND, name_or_arn)
    if record is None or record.kind != KIND:
        raise errors.group_missing(name_or_arn if by_arn else store.arn(KIND, name_or_arn))
    return record
