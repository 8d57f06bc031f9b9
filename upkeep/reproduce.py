"""Trains a version again from the inputs it was trained from, and compares what comes out byte for byte."""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.jobs import INSTANCE_COUNT, channel_parameters, channels, hyperparameters
from training.outputs import split_uri
from training.registry import inspection, seal
from training.registry.inspection import Inspected
from upkeep import serving
from upkeep.errors import UpkeepError
from upkeep.models import Version
from upkeep.outputs import ModelOutputs
from upkeep.reproduce_inputs import Inputs, Object, code_files, describe_job
from upkeep.runs import Clients

FOLDER = "reproductions"
DEFAULT_TIMEOUT_SECONDS = 7200.0
STOP_SECONDS = 180.0
_ENDED = ("Completed", "Failed", "Stopped")
# In teardown's pattern of names: eight digits are enough beside the model's own name.
_SUFFIX = 8


@dataclass(frozen=True, kw_only=True)
class File:
    """One of a model's files, as it was and as it came out again."""

    name: str
    recorded: str
    reproduced: str

    @property
    def same(self) -> bool:
        """Whether both have the same bytes."""
        return self.recorded == self.reproduced

    def to_json(self) -> dict[str, Any]:
        """The file as `--json` prints it."""
        return {
            "name": self.name,
            "recorded": self.recorded,
            "reproduced": self.reproduced,
            "same": self.same,
        }


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What came out.

    Attributes:
        version: Which version was trained again.
        job: The training job.
        output: Its artifact.
        recorded: Digest of the model as it was registered.
        reproduced: Digest of the new one.
        files: Each file of both.
        versions: Libraries that differ, as they were and as they are.
        seconds: How long the job took, waiting included.
    """

    version: Version
    job: str
    output: str
    recorded: str
    reproduced: str
    files: tuple[File, ...]
    versions: Mapping[str, tuple[str, str]]
    seconds: float

    @property
    def equal(self) -> bool:
        """Whether it is the same model."""
        return self.recorded == self.reproduced

    def to_json(self) -> dict[str, Any]:
        """The comparison as `--json` prints it."""
        return {
            "model": self.version.model,
            "version": self.version.label,
            "run_id": self.version.run_id,
            "equal": self.equal,
            "model_digest": {"recorded": self.recorded, "reproduced": self.reproduced},
            "files": [file.to_json() for file in self.files],
            "versions": {name: list(pair) for name, pair in self.versions.items()},
            "job": self.job,
            "output": self.output,
            "seconds": round(self.seconds, 1),
        }


@dataclass
class Job:
    """One training job and what was uploaded for it.

    Attributes:
        there: The stack.
        model: Where the model lives.
        inputs: What it reads.
        name: The job's name.
        prefix: Where its own objects are kept in the artifacts bucket.
        uploaded: Keys and versions of what was put there.
        poll_seconds: Time between two looks at the job.
        sleep: Waits.
        clock: Seconds since any moment.
    """

    there: Clients
    model: ModelOutputs
    inputs: Inputs
    name: str
    prefix: str
    uploaded: list[tuple[str, str]] = field(default_factory=list)
    poll_seconds: float = 4.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, there: Clients, model: ModelOutputs, inputs: Inputs, **how: Any) -> Job:
        """A job under a name that nobody has used."""
        suffix = uuid.uuid4().hex[:_SUFFIX]
        return cls(
            there=there,
            model=model,
            inputs=inputs,
            name=f"{model.endpoint}-reproduce-{suffix}",
            prefix=f"{FOLDER}/{model.name}/{suffix}",
            **how,
        )

    @property
    def _bucket(self) -> str:
        return self.there.outputs.artifacts_bucket

    def start(self) -> None:
        """Upload code and spec, and start the job with the original's settings."""
        inputs, spec = self.inputs, self.inputs.spec
        original = describe_job(self.there, f"{self.model.endpoint}-{inputs.run_id}")
        known = original or describe_job(self.there, self.model.seed_job) or {}
        uris = channels(
            code=self._put("code.tar.gz", pack(dict(code_files(inputs.archive)))),
            spec=self._put(f"{spec.name}.json", spec.to_json().encode()),
            manifest=inputs.manifest_uri,
            champion=self._champion(inputs.champion),
        )
        output = {"S3OutputPath": f"s3://{self._bucket}/{self.prefix}"}
        key = (known.get("OutputDataConfig") or {}).get("KmsKeyId")
        self.there.client("sagemaker").create_training_job(
            TrainingJobName=self.name,
            RoleArn=known.get("RoleArn") or self._role(),
            EnableNetworkIsolation=True,
            AlgorithmSpecification={"TrainingImage": inputs.image, "TrainingInputMode": "File"},
            HyperParameters=hyperparameters(spec.name) | {"run_id": inputs.run_id},
            InputDataConfig=[channel_parameters(one) for one in uris],
            OutputDataConfig=output | ({"KmsKeyId": key} if key else {}),
            ResourceConfig={
                "InstanceType": spec.training.instance_type,
                "InstanceCount": INSTANCE_COUNT,
                "VolumeSizeInGB": spec.training.volume_size_gb,
            },
            StoppingCondition={"MaxRuntimeInSeconds": spec.training.max_runtime_seconds},
        )

    def wait(self, timeout_seconds: float, report: Callable[[str], None]) -> str:
        """Wait for the job; where its artifact is.

        Raises:
            UpkeepError: It failed, was stopped, or took too long; then it is stopped.
        """
        ends, told = self.clock() + timeout_seconds, ""
        while True:
            job = describe_job(self.there, self.name) or {}
            if (phase := str(job.get("SecondaryStatus", told))) != told:
                report(phase)
                told = phase
            if job.get("TrainingJobStatus") in _ENDED:
                break
            if self.clock() > ends:
                self.stop()
                raise UpkeepError(
                    f"Training job {self.name} took longer than {timeout_seconds:.0f} s and was stopped; "
                    "--timeout gives it more."
                )
            self.sleep(self.poll_seconds)
        if job["TrainingJobStatus"] != "Completed":
            why = job.get("FailureReason") or job.get("SecondaryStatus") or "no reason given"
            raise UpkeepError(f"Training job {self.name} ended as {job['TrainingJobStatus']}: {why}")
        return str(job["ModelArtifacts"]["S3ModelArtifacts"])

    def stop(self) -> None:
        """Stop the job, if it runs, and wait until it has let go of its inputs."""
        sagemaker = self.there.client("sagemaker")
        job = describe_job(self.there, self.name)
        if job is None or job["TrainingJobStatus"] in _ENDED:
            return
        sagemaker.stop_training_job(TrainingJobName=self.name)
        ends = self.clock() + STOP_SECONDS
        while self.clock() < ends:
            job = describe_job(self.there, self.name)
            if job is None or job["TrainingJobStatus"] in _ENDED:
                return
            self.sleep(self.poll_seconds)

    def clean(self) -> None:
        """Delete what was uploaded for the job, for good."""
        s3 = self.there.client("s3")
        while self.uploaded:
            key, version_id = self.uploaded[-1]
            exact = {"VersionId": version_id} if version_id else {}
            s3.delete_object(Bucket=self._bucket, Key=key, **exact)
            self.uploaded.pop()

    def _put(self, name: str, body: bytes) -> str:
        key = f"{self.prefix}/input/{name}"
        answer = self.there.client("s3").put_object(Bucket=self._bucket, Key=key, Body=body)
        self.uploaded.append((key, str(answer.get("VersionId") or "")))
        return f"s3://{self._bucket}/{key}"

    def _champion(self, champion: Object | None) -> str | None:
        """Where the job reads the champion: at its place, or as a copy when something else lies there now."""
        if champion is None:
            return None
        if champion.newest:
            return champion.uri
        bucket, source = split_uri(champion.uri)
        key = f"{self.prefix}/input/champion/model.tar.gz"
        answer = self.there.client("s3").copy_object(
            Bucket=self._bucket,
            Key=key,
            CopySource={"Bucket": bucket, "Key": source, "VersionId": champion.version_id},
        )
        self.uploaded.append((key, str(answer.get("VersionId") or "")))
        return f"s3://{self._bucket}/{key}"

    def _role(self) -> str:
        """The model's role, when no training job of the stack is known any more."""
        now = serving.read_serving(self.there, self.model, [])
        if not now.model_name:
            raise UpkeepError(
                f"The role of {self.model.name} cannot be found: neither its training jobs nor its endpoint "
                "are there. Run `upkeep up` first."
            )
        found = self.there.client("sagemaker").describe_model(ModelName=now.model_name)
        return str(found["ExecutionRoleArn"])


def reproduce(job: Job, timeout_seconds: float, report: Callable[[str], None]) -> Reproduction:
    """Train again and compare.

    Args:
        job: What to train.
        timeout_seconds: How long the job may take.
        report: Told what is done.

    Raises:
        UpkeepError: The job could not be started or did not end well.
    """
    started = job.clock()
    try:
        report("starting")
        job.start()
        output = job.wait(timeout_seconds, report)
    except BaseException:  # Ctrl-C too: nothing may go on costing money
        job.stop()
        raise
    finally:
        job.clean()
    report("comparing")
    found = _inspect(job.there, output)
    return compare(job, output, found, job.clock() - started)


def compare(job: Job, output: str, found: Inspected, seconds: float) -> Reproduction:
    """The two models, file by file."""
    before, after = job.inputs.recorded, found
    were, are = before.passport["versions"], after.passport["versions"]
    return Reproduction(
        version=job.inputs.version,
        job=job.name,
        output=output,
        recorded=str(before.passport["model_digest"]),
        reproduced=str(after.passport["model_digest"]),
        files=tuple(
            File(name=name, recorded=before.files[name], reproduced=after.files[name]) for name in seal.SIGNED
        ),
        versions={
            name: (str(were.get(name, "-")), str(are.get(name, "-")))
            for name in sorted({*were, *are})
            if were.get(name) != are.get(name)
        },
        seconds=seconds,
    )


def discard(job: Job) -> None:
    """Delete what the job wrote, for good."""
    s3 = job.there.client("s3")
    bucket = job.there.outputs.artifacts_bucket
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=f"{job.prefix}/")
    for page in pages:
        for one in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
            s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])


def pack(files: Mapping[str, bytes]) -> bytes:
    """Code as a training container takes it."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=buffer, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _inspect(there: Clients, uri: str) -> Inspected:
    bucket, key = split_uri(uri)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tar.gz"
        there.client("s3").download_file(bucket, key, str(path))
        with path.open("rb") as stream:
            return inspection.inspect(stream, path.name)
