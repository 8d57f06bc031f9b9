"""Lambda: checks each file that arrives, accepts or quarantines it, starts one training per data set.

Every step can be repeated: a message that is delivered twice, or again after a crash halfway, ends in the
same state. A bad file never stops a good one, and an unexpected error sends back the message it concerns, no
other.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aws_lambda_powertools import Logger

from models.spec import ModelSpec, SpecError
from monitoring import metrics
from training import checks
from training.arrivals import ACCEPTED, REASON_SUFFIX, Arrival, RefusedEventError, read_message
from training.aws import Place, client, code, is_missing, require
from training.checks import CheckReport, Finding
from training.manifest import Manifest
from training.outputs import read_spec

_log = Logger(service="intake")
TRIGGER = "data"
# Of the same set of files; each takes a push or a message that was delivered again.
MAX_ATTEMPTS = 20
_CHUNK_BYTES = 1024 * 1024
_PARALLEL_HEADS = 8
# Rows of accepted objects by key: their content never changes, so a warm function asks once.
_rows_by_key: dict[str, int] = {}


@dataclass(frozen=True)
class Settings:
    """What the function is deployed with.

    Attributes:
        data_bucket: Holds incoming, accepted, quarantine and manifests.
        artifacts_bucket: Holds the specs.
        prefix: ``upkeep-<stack>``.
        place: Its own account and region; events and buckets of others are refused.
    """

    data_bucket: str
    artifacts_bucket: str
    prefix: str
    place: Place

    def machine(self, model: str) -> str:
        """Name of a model's retrain state machine."""
        return f"{self.prefix}-{model}-retrain"

    @classmethod
    def load(cls, environment: Mapping[str, str], function_arn: str) -> Settings:
        """Read the environment.

        Raises:
            KeyError: Names all variables that are not set.
        """
        data, artifacts, prefix = require(environment, "DATA_BUCKET", "ARTIFACTS_BUCKET", "PREFIX")
        return cls(data, artifacts, prefix, Place.of(function_arn))


@dataclass(frozen=True)
class _Stored:
    """The object as it is now, not as an event described it."""

    version_id: str | None
    etag: str
    size: int
    modified: datetime

    @property
    def version(self) -> dict[str, str]:
        """The argument that pins the version; a bucket without versioning has none."""
        return {"VersionId": self.version_id} if self.version_id else {}


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Handle a batch of queue messages.

    Returns:
        The messages to deliver again:
        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    intake = Intake(Settings.load(os.environ, context.invoked_function_arn))
    failed: list[str] = []
    touched: dict[str, list[str]] = {}
    for record in event["Records"]:
        message = str(record["messageId"])
        try:
            model = intake.take(record)
        except RefusedEventError as error:
            _log.error("refused a message", extra={"message_id": message, "reason": str(error)})
            failed.append(message)
        except Exception:  # noqa: BLE001 - whatever it is, it concerns this message alone
            _log.exception("a message goes back to the queue", extra={"message_id": message})
            failed.append(message)
        else:
            if model:
                touched.setdefault(model, []).append(message)
    for model, messages in touched.items():
        try:
            intake.start_training(model)
        except Exception:  # noqa: BLE001 - other models go on; these messages come again
            _log.exception("the training could not be started", extra={"model": model})
            failed.extend(messages)
    intake.emit_metrics()
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


class Intake:
    """Handles the messages of one batch."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._s3 = client("s3")
        self._owner = {"ExpectedBucketOwner": settings.place.account}
        self._specs: dict[str, ModelSpec | None] = {}
        self._counts: dict[str, Counter[str]] = {}

    def take(self, record: Mapping[str, Any]) -> str | None:
        """Check and sort the object a message tells of.

        Returns:
            The model whose data may have changed, None when nothing is to be trained.

        Raises:
            RefusedEventError: The message is not about an object of ours.
        """
        settings = self._settings
        arrived = read_message(
            record,
            bucket=settings.data_bucket,
            account=settings.place.account,
            queue=f"{settings.prefix}-intake",
        )
        if arrived.is_folder_marker:
            _log.info("a folder marker, nothing to do", extra={"key": arrived.key})
            return None
        stored = self._look(arrived.key)
        spec = self._spec(arrived)
        if stored is None:
            # Handled before, perhaps by a call that ended before it could start the training.
            _log.info("already gone", extra={"key": arrived.key})
            return arrived.folder if spec else None
        return self._sort(arrived, stored, spec)

    def start_training(self, model: str) -> None:
        """Start the training of all accepted files, once per distinct set of files.

        A set whose run failed is tried again, under the next attempt's name.
        """
        settings = self._settings
        keys = self._accepted(model)
        if not keys:
            return
        manifest = Manifest.of(settings.data_bucket, keys)
        key = manifest.key(model)
        self._s3.put_object(
            Bucket=settings.data_bucket,
            Key=key,
            Body=manifest.body.encode(),
            ContentType="application/json",
            **self._owner,
        )
        run: dict[str, Any] = {
            "model": model,
            "manifest_uri": f"s3://{settings.data_bucket}/{key}",
            "rows": self._count_rows(keys, model),
            "files": len(keys),
            "trigger": TRIGGER,
        }
        for number in range(1, MAX_ATTEMPTS + 1):
            run["run_id"] = manifest.attempt(number)
            if self._start(run):
                _log.info("training started", extra={**run, "attempt": number})
                return
            if not self._failed(run):
                _log.info("this data set has been handled", extra=run)
                return
        _log.error("all attempts failed; push another file, or mend the model", extra=run)

    def _start(self, run: Mapping[str, Any]) -> bool:
        """Start a run; False when its name is taken."""
        states = client("stepfunctions")
        machine = self._settings.machine(run["model"])
        arn = self._settings.place.arn("states", f"stateMachine:{machine}")
        try:
            states.start_execution(stateMachineArn=arn, name=run["run_id"], input=json.dumps(run))
        except states.exceptions.ClientError as error:
            if code(error) == "ExecutionAlreadyExists":
                return False
            raise
        return True

    def _failed(self, run: Mapping[str, Any]) -> bool:
        """Whether the execution of this name ended without a result."""
        place, machine = self._settings.place, self._settings.machine(run["model"])
        arn = place.arn("states", f"execution:{machine}:{run['run_id']}")
        described = client("stepfunctions").describe_execution(executionArn=arn)
        return described["status"] in ("FAILED", "TIMED_OUT", "ABORTED")

    def emit_metrics(self) -> None:
        """Write what happened to the log, per model of the stack."""
        for model, counts in self._counts.items():
            metrics.emit(self._settings.prefix, model, counts)

    def _look(self, key: str) -> _Stored | None:
        bucket = self._settings.data_bucket
        try:
            head = self._s3.head_object(Bucket=bucket, Key=key, **self._owner)
        except self._s3.exceptions.ClientError as error:
            if is_missing(error, self._s3, bucket, key, self._settings.place.account):
                return None
            raise
        return _Stored(head.get("VersionId"), head["ETag"], head["ContentLength"], head["LastModified"])

    def _spec(self, arrived: Arrival) -> ModelSpec | None:
        model = arrived.folder
        if not arrived.is_model_name:
            return None
        if model not in self._specs:
            bucket = self._settings.artifacts_bucket
            owner = self._settings.place.account
            self._specs[model] = read_spec(self._s3, model, bucket=bucket, owner=owner)
        return self._specs[model]

    def _sort(self, arrived: Arrival, stored: _Stored, spec: ModelSpec | None) -> str | None:
        """Check the object and move it where it belongs; the model if it was accepted."""
        if spec is None:
            shown = f"no model {arrived.folder!r} in this stack" if arrived.folder else "no model named"
            text = f"{shown}; upload files to incoming/<model>/, models here: {self._models()}"
            report = CheckReport(findings=(Finding(None, "model", 1, text),))
            self._quarantine(arrived, stored, report, None, "")
            return None
        if stored.size > checks.MAX_FILE_BYTES:
            text = (
                f"the file has {stored.size:,} bytes, at most {checks.MAX_FILE_BYTES:,} are taken; split it"
            )
            report = CheckReport(findings=(Finding(None, "file", 1, text),))
            self._quarantine(arrived, stored, report, spec, "")
            return None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "arrived"
            sha256 = self._download(arrived.key, stored, path)
            report = checks.check_file(path, spec)
        if not report.ok:
            self._quarantine(arrived, stored, report, spec, sha256)
            return None
        self._accept(arrived, stored, report, sha256)
        return spec.name

    def _download(self, key: str, stored: _Stored, path: Path) -> str:
        """Fetch the exact version that was looked at; its SHA-256."""
        digest = hashlib.sha256()
        answer = self._s3.get_object(
            Bucket=self._settings.data_bucket, Key=key, **stored.version, **self._owner
        )
        with path.open("wb") as file:
            for chunk in answer["Body"].iter_chunks(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _accept(self, arrived: Arrival, stored: _Stored, report: CheckReport, sha256: str) -> None:
        same = self._list(arrived.accepted_prefix(sha256))
        if same:
            _log.info("these bytes are accepted already", extra={"key": arrived.key, "as": same[0]})
        else:
            facts = {"rows": str(report.rows), "sha256": sha256, "source": quote(arrived.key)}
            self._copy(
                arrived.key,
                stored,
                arrived.accepted_key(sha256),
                MetadataDirective="REPLACE",
                ContentType="text/csv",
                Metadata=facts,
            )
            self._count(arrived.folder, {metrics.FILES_ACCEPTED: 1, metrics.ROWS_ACCEPTED: report.rows})
            _log.info("accepted", extra={"key": arrived.key, "rows": report.rows, "ignored": report.ignored})
        self._remove(arrived.key, stored)

    def _quarantine(
        self, arrived: Arrival, stored: _Stored, report: CheckReport, spec: ModelSpec | None, sha256: str
    ) -> None:
        key = arrived.quarantine_key(stored.modified)
        self._copy(arrived.key, stored, key)
        reason = {
            "schema": 1,
            "object": arrived.key,
            "version_id": stored.version_id,
            "sha256": sha256 or None,
            "size": stored.size,
            "model": arrived.folder,
            "reason": report.reason,
            "details": report.details(),
            "spec_digest": spec.digest() if spec else None,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._s3.put_object(
            Bucket=self._settings.data_bucket,
            Key=key + REASON_SUFFIX,
            Body=json.dumps(reason, indent=1).encode(),
            ContentType="application/json",
            **self._owner,
        )
        if spec:
            self._count(arrived.folder, {metrics.FILES_QUARANTINED: 1})
        _log.warning("quarantined", extra={"key": arrived.key, "as": key, "reason": report.reason})
        self._remove(arrived.key, stored)

    def _copy(self, key: str, stored: _Stored, target: str, **options: Any) -> None:
        """Copy inside S3 exactly the version that was checked."""
        bucket = self._settings.data_bucket
        source = {"Bucket": bucket, "Key": key, **stored.version}
        owners = {**self._owner, "ExpectedSourceBucketOwner": self._settings.place.account}
        # Beyond 5 GB a copy has parts: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        if stored.size > 5 * 1000**3:
            self._s3.copy(source, bucket, target, ExtraArgs=owners)
        else:
            self._s3.copy_object(CopySource=source, Bucket=bucket, Key=target, **owners, **options)

    def _remove(self, key: str, stored: _Stored) -> None:
        """Remove the object unless a newer one took its place; that one has its own message."""
        current = self._look(key)
        if current is None or current.version_id != stored.version_id or current.etag != stored.etag:
            _log.info("a newer object stays", extra={"key": key})
            return
        try:
            self._s3.delete_object(
                Bucket=self._settings.data_bucket, Key=key, IfMatch=stored.etag, **self._owner
            )
        except self._s3.exceptions.ClientError as error:
            if code(error) not in ("PreconditionFailed", "412"):
                raise
            _log.info("a newer object stays", extra={"key": key})

    def _list(self, prefix: str) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._settings.data_bucket, Prefix=prefix, **self._owner
        )
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def _accepted(self, model: str) -> list[str]:
        return [key for key in self._list(f"{ACCEPTED}{model}/") if not key.endswith("/")]

    def _models(self) -> str:
        answer = self._s3.list_objects_v2(
            Bucket=self._settings.artifacts_bucket, Prefix="specs/", **self._owner
        )
        names = [Path(item["Key"]).stem for item in answer.get("Contents", [])]
        return ", ".join(names) or "none"

    def _count_rows(self, keys: list[str], model: str) -> int:
        """Rows of all files; intake wrote them on each object it accepted."""
        unknown = [key for key in keys if key not in _rows_by_key]
        with ThreadPoolExecutor(_PARALLEL_HEADS) as pool:
            counted = pool.map(lambda key: self._rows_of(key, model), unknown)
            _rows_by_key.update(zip(unknown, counted, strict=True))
        return sum(_rows_by_key[key] for key in keys)

    def _rows_of(self, key: str, model: str) -> int:
        head = self._s3.head_object(Bucket=self._settings.data_bucket, Key=key, **self._owner)
        rows = head.get("Metadata", {}).get("rows")
        if rows is not None:
            return int(rows)
        # Put there by somebody else, as the seed is: counted once per warm function.
        stored = _Stored(head.get("VersionId"), head["ETag"], head["ContentLength"], head["LastModified"])
        spec = self._spec(Arrival(key, model, ""))
        if spec is None:
            raise SpecError([f"specs/{model}.json: gone while a training was about to start"])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "accepted"
            self._download(key, stored, path)
            return checks.check_file(path, spec).rows

    def _count(self, model: str, values: Mapping[str, int]) -> None:
        self._counts.setdefault(model, Counter()).update(values)
