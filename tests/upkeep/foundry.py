"""A version whose training can be repeated: its inputs in the buckets, its package, and jobs that train."""

from __future__ import annotations

import json
from typing import Any

from tests.training.examples import tar_bytes
from tests.training.lambdas import ARTIFACTS, DATA
from tests.training.registry.examples import IMAGE, model_files, sha256
from tests.upkeep.fakes import missing
from tests.upkeep.stand import SEED_URL, package
from training.registry import metadata

RUN = "76f08dd2eca4a5d8c96d"
JOB = f"upkeep-dev-flights-{RUN}"
SEED_JOB = "upkeep-dev-flights-seed-abc1234"
URL = f"s3://{ARTIFACTS}/training/flights/{JOB}/output/model.tar.gz"
ROLE, KEY = "arn:aws:iam::123456789012:role/flights", "arn:aws:kms:us-east-1:123456789012:key/1"
FILES = ("accepted/flights/one.parquet", "accepted/flights/two.parquet")


class Foundry:
    """The stand's account with one registered version, and training jobs that end at once."""

    def __init__(self, stand: Any) -> None:
        self.stand, self.s3 = stand, stand.s3
        self.context = stand.context
        self.files = model_files(RUN, stand.spec)
        self.made = self.files  # what the next job makes
        self.ending: dict[str, Any] = {"TrainingJobStatus": "Completed", "SecondaryStatus": "Completed"}
        self.jobs: dict[str, dict[str, Any]] = {
            name: {"RoleArn": ROLE, "OutputDataConfig": {"KmsKeyId": KEY}} for name in (JOB, SEED_JOB)
        }
        answers = stand.account.sagemaker.answers
        answers["describe_training_job"] = self._describe
        answers["create_training_job"] = self._create
        answers["stop_training_job"] = self._stop
        self._lay_out()
        stand.account.packages.insert(0, self.package())

    def package(self) -> dict[str, Any]:
        """The version as the registry describes it."""
        found = package(1, URL, RUN)
        return {**found, "CustomerMetadataProperties": metadata.of(self.decision, sha256(self.body))}

    def put(self, uri: str, body: bytes) -> str:
        """Upload an object; its version."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return str(self.s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"])

    def erase(self, uri: str) -> None:
        """Delete every version of an object."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        for one in self.s3.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", []):
            self.s3.delete_object(Bucket=bucket, Key=key, VersionId=one["VersionId"])

    def left(self) -> list[str]:
        """Keys of all that reproductions have left, replaced versions included."""
        found = self.s3.list_object_versions(Bucket=ARTIFACTS, Prefix="reproductions/")
        return sorted(one["Key"] for one in (*found.get("Versions", []), *found.get("DeleteMarkers", [])))

    def asked(self) -> dict[str, Any]:
        """The one job that was started."""
        (request,) = self.stand.account.sagemaker.asked("create_training_job")
        return dict(request)

    def _lay_out(self) -> None:
        ids = {key: self.put(f"s3://{DATA}/{key}", key.encode()) for key in FILES}
        manifest = json.dumps([{"prefix": f"s3://{DATA}/"}, *FILES]).encode()
        self.manifest = f"s3://{DATA}/manifests/flights/{RUN}.json"
        self.put(self.manifest, manifest)
        record = {"objects": [{"key": key, "version_id": found} for key, found in ids.items()]}
        self.put(self.manifest.replace(".json", ".data.json"), json.dumps(record).encode())
        artifact = tar_bytes(self.files)
        passport = json.loads(self.files["passport.json"])
        self.decision = {
            "model": "flights", "run_id": RUN, "version": "1.0.1", "decision": "promote", "image": IMAGE,
            "approval": "Approved", "metric": "roc_auc", "challenger": 0.7, "champion": 0.6, "files": 2,
            "reason": "better", "trigger": "data", "contract_version": "c", "data_version": RUN,
            "rows": {"total": 9, "holdout": 2, "dropped": 0},
            "window": {"setting": "all", "from": "a", "to": "b"}, "digests": passport["digests"],
            "manifest_uri": self.manifest, "manifest_sha256": sha256(manifest),
            "data_version_uri": self.manifest.replace(".json", ".data.json"),
            "model_data_url": URL, "artifact_sha256": sha256(artifact),
            "artifact_version_id": self.put(URL, artifact), "champion_run_id": "seed-abc1234",
            "passport_sha256": sha256(self.files["passport.json"]), "model_digest": passport["model_digest"],
            "champion_url": SEED_URL, "champion_version_id": self.put(SEED_URL, b"the seed's archive"),
            "decision_uri": f"s3://{ARTIFACTS}/decisions/flights/{RUN}.json",
            "report_uri": f"s3://{ARTIFACTS}/decisions/flights/{RUN}.html",
        }  # fmt: skip
        self.body = json.dumps(self.decision).encode()
        self.put(self.decision["decision_uri"], self.body)

    def _describe(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803 - boto3's own spelling
        if TrainingJobName not in self.jobs:
            raise missing("training job")
        return self.jobs[TrainingJobName]

    def _create(self, **request: Any) -> dict[str, Any]:
        name = request["TrainingJobName"]
        uri = f"{request['OutputDataConfig']['S3OutputPath']}/{name}/output/model.tar.gz"
        self.put(uri, tar_bytes(self.made))
        self.jobs[name] = {**request, **self.ending, "ModelArtifacts": {"S3ModelArtifacts": uri}}
        return {}

    def _stop(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803 - boto3's own spelling
        self.jobs[TrainingJobName] |= {"TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}
        return {}
