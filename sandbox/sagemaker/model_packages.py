"""The operations on model packages, the entries of the model registry."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

from sandbox.sagemaker import errors, events, model_groups, shapes
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.listing import Listing
from sandbox.sagemaker.store import Record

KIND = "model_package"
_LISTING = Listing("ListModelPackages", "ModelPackageSummaryList", "ModelPackageGroupName", descending=False)
# The members of DescribeModelPackage that the documented event shows, in its order.
_EVENT_MEMBERS = (
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageName",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "InferenceSpecification",
    "ModelPackageStatus",
    "ModelPackageStatusDetails",
    "CertifyForMarketplace",
    "ModelApprovalStatus",
    "ApprovalDescription",
    "MetadataProperties",
    "ModelMetrics",
    "CustomerMetadataProperties",
    "DriftCheckBaselines",
    "ModelLifeCycle",
    "SourceUri",
    "LastModifiedTime",
)
# Of CustomerMetadataMap, which is also what DescribeModelPackage can answer; a single call is held to it, and
# to the pattern and the length of its keys and values, by the strict checks before it gets here.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
_MOST_METADATA = 50
_PLAIN_UPDATES = (
    "ModelPackageRegistrationType",
    "ApprovalDescription",
    "InferenceSpecification",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
)


class ModelPackages:
    """CreateModelPackage and the rest."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tokens: dict[str, tuple[str, dict[str, Any]]] = {}

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """CreateModelPackage: a version in a group, or a package of its own name.

        A version takes the tags of its group and may have none of its own (API_CreateModelPackage). Version
        numbers are never used twice.

        A token that was used gives the package it made. With other parameters it is refused: the guide says
        only that the token makes the call idempotent, other AWS services answer a mismatch with an error
        (https://aws.amazon.com/builders-library/making-retries-safe-with-idempotent-APIs/), and the one that
        this operation declares for it is ConflictException; the words are ours.
        """
        store = self._context.store
        token = params.get("ClientToken")
        request = {key: value for key, value in params.items() if key != "ClientToken"}
        with store.lock:
            if token and token in self._tokens:
                arn, before = self._tokens[token]
                if before != request:
                    raise errors.conflict(
                        f"The ClientToken {token} was used with other parameters, for {arn}."
                    )
                if store.find_arn(arn) is not None:
                    return shapes.project("CreateModelPackage", {"ModelPackageArn": arn})
            record = self._versioned(request) if "ModelPackageGroupName" in params else self._named(request)
            record.fields |= {
                "ModelPackageArn": record.arn,
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
                "CertifyForMarketplace": bool(params.get("CertifyForMarketplace")),
                "CreatedBy": {},
            }
            if token:
                self._tokens[token] = (record.arn, copy.deepcopy(request))
        self._publish(record, None)
        return shapes.project("CreateModelPackage", {"ModelPackageArn": record.arn})

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """DescribeModelPackage, by ARN, or by name for one without a group."""
        with self._context.store.lock:
            return shapes.project("DescribeModelPackage", self._find(params["ModelPackageName"]).values())

    def list_all(self, params: dict[str, Any]) -> dict[str, Any]:
        """ListModelPackages: with a group its versions, otherwise (or with ModelPackageType) the others."""
        store, group = self._context.store, params.get("ModelPackageGroupName")
        with store.lock:
            rows = store.all(KIND)
            if group:
                name = model_groups.find(store, group).name
                rows = [r for r in rows if r.request.get("ModelPackageGroupName") == name]
            kind = params.get("ModelPackageType", "Versioned" if group else "Unversioned")
            if kind != "Both":
                rows = [r for r in rows if ("ModelPackageVersion" in r.fields) == (kind == "Versioned")]
            if wanted := params.get("ModelApprovalStatus"):
                rows = [r for r in rows if r.fields.get("ModelApprovalStatus") == wanted]
            return _LISTING.page(rows, params, _row)

    def update(self, params: dict[str, Any]) -> dict[str, Any]:
        """UpdateModelPackage: approval, description, metadata and the few other members that may change."""
        with self._context.store.lock:
            record = self._find(params["ModelPackageArn"])
            before = record.values()
            self._apply(record, params)
            after = record.values()
            changed = [name for name in _EVENT_MEMBERS if before.get(name) != after.get(name)]
            if changed:
                record.modified = self._context.clock.now()
                record.fields["LastModifiedBy"] = {}
        significant = {"ModelApprovalStatus", "ModelPackageStatus"} & set(changed)
        if significant or (changed and self._context.settings.metadata_update_events):
            self._publish(record, changed)
        return shapes.project("UpdateModelPackage", {"ModelPackageArn": record.arn})

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """DeleteModelPackage."""
        with self._context.store.lock:
            self._context.store.remove(self._find(params["ModelPackageName"]))
        return {}

    def _versioned(self, request: dict[str, Any]) -> Record:
        store = self._context.store
        if "ModelPackageName" in request:
            raise errors.validation(
                "Both ModelPackageName and ModelPackageGroupName are provided in the input. "
                "Cannot determine which one to use."
            )
        if request.get("Tags"):
            raise errors.validation(
                "Tags are not allowed on a model package version; it uses the tags of its group. Tag "
                f"{request['ModelPackageGroupName']} instead."
            )
        group = model_groups.find(store, request["ModelPackageGroupName"])
        version = group.fields.get("LastVersion", 0) + 1
        group.fields["LastVersion"] = version
        record = store.add(
            KIND,
            f"{group.name}/{version}",
            {**request, "ModelPackageGroupName": group.name},
            self._context.clock.now(),
        )
        record.fields |= {
            "ModelPackageName": group.name,
            "ModelPackageVersion": version,
            "ModelApprovalStatus": request.get("ModelApprovalStatus", "PendingManualApproval"),
        }
        return record

    def _named(self, request: dict[str, Any]) -> Record:
        store, name = self._context.store, request.get("ModelPackageName")
        if not name:
            raise errors.validation("Give a ModelPackageGroupName (for a version) or a ModelPackageName.")
        if (taken := store.find(KIND, name)) is not None:
            raise errors.conflict(f"Model package already exists: {taken.arn}")
        return store.add(KIND, name, request, self._context.clock.now())

    def _apply(self, record: Record, params: dict[str, Any]) -> None:
        metadata = dict(record.request.get("CustomerMetadataProperties") or {})
        metadata.update(params.get("CustomerMetadataProperties") or {})
        for key in params.get("CustomerMetadataPropertiesToRemove") or []:
            metadata.pop(key, None)
        if len(metadata) > _MOST_METADATA:
            raise errors.validation(
                f"{record.arn} would have {len(metadata)} CustomerMetadataProperties; at most "
                f"{_MOST_METADATA} are allowed."
            )
        if "ModelApprovalStatus" in params:
            if "ModelPackageVersion" not in record.fields:
                raise errors.validation(
                    f"{record.arn} is in no group; only versions in a group have an approval."
                )
            record.fields["ModelApprovalStatus"] = params["ModelApprovalStatus"]
        for member in _PLAIN_UPDATES:
            if member in params:
                record.request[member] = params[member]
        record.request["CustomerMetadataProperties"] = metadata or None
        if added := params.get("AdditionalInferenceSpecificationsToAdd"):
            kept = record.request.get("AdditionalInferenceSpecifications") or []
            record.request["AdditionalInferenceSpecifications"] = [*kept, *added]

    def _find(self, name_or_arn: str) -> Record:
        store = self._context.store
        by_arn = name_or_arn.startswith("arn:")
        record = store.find_arn(name_or_arn) if by_arn else store.find(KIND, name_or_arn)
        if record is None or record.kind != KIND:
            raise errors.package_missing(name_or_arn if by_arn else store.arn(KIND, name_or_arn))
        return record

    def _publish(self, record: Record, updated: list[str] | None) -> None:
        with self._context.store.lock:
            answer = shapes.project("DescribeModelPackage", record.values())
        detail = {name: answer[name] for name in _EVENT_MEMBERS if name in answer}
        for name in ("CreationTime", "LastModifiedTime"):
            detail[name] = _iso(detail[name])
        if updated is not None:
            detail["UpdatedModelPackageFields"] = updated
        self._context.events.emit(events.MODEL_PACKAGE, detail, record.arn)


def _row(record: Record) -> dict[str, Any]:
    return {"ModelPackageGroupName": record.name, **record.values()}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
