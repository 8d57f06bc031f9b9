"""Data capture: one JSON line per captured invocation, written to S3 in small files.

Format and places: "Capture data from real-time endpoint"
(https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html): the file is
<destination>/<endpoint>/<variant>/yyyy/mm/dd/hh/<name>.jsonl in the UTC hour of the invocation. Only answered
invocations (2xx) are captured; no source says whether AWS captures failed ones.
"""

from __future__ import annotations

import base64
import json
import logging
import tempfile
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.sagemaker import s3_data

if TYPE_CHECKING:
    from sandbox.sagemaker.context import Context

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exchange:
    """One answered invocation."""

    request: bytes
    request_type: str
    response: bytes
    response_type: str
    at: float
    inference_id: str | None = None
    custom_attributes: str | None = None


@dataclass(frozen=True)
class _File:
    destination: str
    kms_key_id: str | None
    role_arn: str
    endpoint: str
    variant: str
    hour: str


def record(config: dict[str, Any], exchange: Exchange) -> dict[str, Any]:
    """The line of one invocation."""
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    both = "InputAndOutput" in modes
    data: dict[str, Any] = {}
    if both or "Input" in modes:
        data["endpointInput"] = _side(config, "INPUT", exchange.request, exchange.request_type)
    if both or "Output" in modes:
        data["endpointOutput"] = _side(config, "OUTPUT", exchange.response, exchange.response_type)
    metadata: dict[str, Any] = {"eventId": str(uuid.uuid4())}
    if exchange.custom_attributes:
        metadata["customAttributes"] = [exchange.custom_attributes]
    if exchange.inference_id:
        metadata["inferenceId"] = exchange.inference_id
    metadata["inferenceTime"] = _utc(exchange.at).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}


def _side(config: dict[str, Any], mode: str, body: bytes, content_type: str) -> dict[str, str]:
    headers = config.get("CaptureContentTypeHeader") or {}
    kind = content_type.partition(";")[0].strip().lower()
    encoding = "BASE64"
    for name, member in (("CSV", "CsvContentTypes"), ("JSON", "JsonContentTypes")):
        if kind in {entry.lower() for entry in headers.get(member) or []}:
            encoding = name
    try:
        data = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode()
    except UnicodeDecodeError:
        encoding, data = "BASE64", base64.b64encode(body).decode()
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class Capture:
    """Buffers lines; writes a file per endpoint, variant and hour every few seconds or few hundred lines."""

    def __init__(self, context: Context, sample: Callable[[], float]) -> None:
        self._context = context
        self._sample = sample
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._lines: dict[_File, list[str]] = {}
        self._full = threading.Event()

    def add(
        self,
        config: dict[str, Any] | None,
        endpoint: str,
        variant: str,
        role_arn: str | None,
        exchange: Exchange,
    ) -> None:
        """Keep an invocation if capture is on and the sampling (InitialSamplingPercentage) takes it."""
        if not config or not config.get("EnableCapture") or not role_arn:
            return
        if self._sample() * 100 >= config["InitialSamplingPercentage"]:
            return
        file = _File(
            destination=config["DestinationS3Uri"].rstrip("/"),
            kms_key_id=config.get("KmsKeyId"),
            role_arn=role_arn,
            endpoint=endpoint,
            variant=variant,
            hour=_utc(exchange.at).strftime("%Y/%m/%d/%H"),
        )
        line = json.dumps(record(config, exchange), separators=(",", ":"))
        with self._lock:
            lines = self._lines.setdefault(file, [])
            lines.append(line)
            if len(lines) >= self._context.settings.capture_flush_lines:
                self._full.set()

    def flush_full(self) -> None:
        """Write now when some buffer has reached its number of lines."""
        if self._full.is_set():
            self.flush()

    def flush(self) -> None:
        """Write everything buffered.

        As on AWS, what cannot be written (no right, no bucket) is dropped and logged.
        """
        with self._writing:
            with self._lock:
                batches, self._lines = self._lines, {}
                self._full.clear()
            for file, lines in batches.items():
                try:
                    self._write(file, lines)
                except Exception:  # noqa: BLE001 - one lost batch must not lose the others
                    _log.exception(
                        "%d captured records of %s/%s lost", len(lines), file.endpoint, file.variant
                    )

    def _write(self, file: _File, lines: list[str]) -> None:
        platform = self._context.platform
        s3 = platform.s3_client(platform.role_credentials(file.role_arn, file.endpoint[:64]))
        now = _utc(self._context.clock.now())
        name = f"{now:%M-%S}-{now.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
        uri = f"{file.destination}/{file.endpoint}/{file.variant}/{file.hour}/{name}"
        with tempfile.TemporaryDirectory(dir=platform.root) as folder:
            path = Path(folder) / name
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            s3_data.upload(s3, path, uri, file.kms_key_id)
