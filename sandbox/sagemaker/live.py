"""An endpoint as it runs: its record, its fleets, and what DescribeEndpoint says of them."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

from sandbox.sagemaker import events, shapes
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.routing import Router, Variant
from sandbox.sagemaker.store import Record


class LiveEndpoint:
    """One endpoint. Its status changes through `set_status`, which also sends the event."""

    def __init__(self, context: Context, record: Record) -> None:
        self._context = context
        self.record = record
        self.router = Router()
        self.cancel = threading.Event()
        self.capture: dict[str, Any] | None = None
        self.pending_config: str | None = None
        self.pending_since = 0.0

    @property
    def name(self) -> str:
        """The endpoint's name."""
        return self.record.name

    @property
    def status(self) -> str:
        """The endpoint's status."""
        return str(self.record.fields["EndpointStatus"])

    def set_status(self, status: str, **fields: Any) -> None:
        """Change the status (and other fields; None removes one) and send the state-change event."""
        with self._context.store.lock:
            self.record.modified = self._context.clock.now()
            self.record.fields |= {"EndpointStatus": status, **fields}
        self.publish(events.ENDPOINT)

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeEndpoint."""
        with self._context.store.lock:
            values = self.record.values()
        values.pop("DeploymentConfig", None)
        variants = [self._variant(variant) for variant in self.router.current()]
        values["ProductionVariants"] = variants or None
        if self.capture:
            values["DataCaptureConfig"] = {
                "EnableCapture": bool(self.capture.get("EnableCapture")),
                "CaptureStatus": "Started" if self.capture.get("EnableCapture") else "Stopped",
                "CurrentSamplingPercentage": self.capture["InitialSamplingPercentage"],
                "DestinationS3Uri": self.capture["DestinationS3Uri"],
                "KmsKeyId": self.capture.get("KmsKeyId") or "",
            }
        pending = self.router.pending()
        if self.pending_config and pending:
            values["PendingDeploymentSummary"] = {
                "EndpointConfigName": self.pending_config,
                "StartTime": self.pending_since,
                "ProductionVariants": [
                    {**self._variant(variant), "InstanceType": variant.config.get("InstanceType")}
                    for variant in pending
                ],
            }
        return shapes.project("DescribeEndpoint", values)

    def publish(self, detail_type: str) -> None:
        """Send an event about the endpoint as it is now."""
        detail = events.describe_detail(
            "DescribeEndpoint", self.describe(), self._context.store.tags_of(self.record)
        )
        detail["EndpointStatus"] = events.capitals(detail["EndpointStatus"])
        self._context.events.emit(detail_type, detail, self.record.arn)

    def _variant(self, variant: Variant) -> dict[str, Any]:
        image = variant.fleet.served.image
        return {
            "VariantName": variant.name,
            "DeployedImages": [
                {
                    "SpecifiedImage": image,
                    "ResolvedImage": _resolved(image),
                    "ResolutionTime": self.record.created,
                }
            ],
            "CurrentWeight": variant.weight,
            "DesiredWeight": variant.weight,
            "CurrentInstanceCount": variant.fleet.size,
            "DesiredInstanceCount": variant.desired_count,
            "VariantStatus": variant.status or None,
        }


def _resolved(image: str) -> str:
    """An image by digest, as AWS shows it.

    There is no registry here, so the digest is that of the image's name.
    """
    repository = image.partition("@")[0]
    head, _, last = repository.rpartition("/")
    return f"{head}/{last.partition(':')[0]}@sha256:{hashlib.sha256(image.encode()).hexdigest()}".lstrip("/")
