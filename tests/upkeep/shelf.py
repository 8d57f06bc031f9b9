# ruff: noqa: N803 - arguments are spelt as boto3 spells them
"""A registry with a few versions on the stack in memory, and a release machine that a test scripts."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from datetime import UTC, datetime, timedelta

from tests.training.lambdas import ACCOUNT, ARTIFACTS
from tests.upkeep.fakes import RELEASE, SECOND, START, missing, refusal
from tests.upkeep.stand import SEED_URL
from tests.upkeep.test_rows import SPEC
from training.ledger.rollouts import RolloutRecord, Served

GROUP = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model-package/upkeep-dev-flights"
SEED_CONFIG = "upkeep-dev-flights-v0-seed"


def archive(**documents):
    """A tar.gz of JSON documents: `archive(evaluation={...})` holds evaluation.json."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in documents.items():
            body = json.dumps(data).encode()
            info = tarfile.TarInfo(f"{name}.json")
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return out.getvalue()


def evaluation(score, champion=None, order=("distance", "carrier")):
    """What a training job measured."""
    return {
        "rows": {"total": 1000, "holdout": 200},
        "challenger": {"roc_auc": score, "log_loss": 0.5},
        "champion": {"roc_auc": champion} if champion else None,
        "importance": [{"feature": name, "mean": 0.1, "standard_error": 0.01} for name in order],
    }


class Shelf:
    """Versions of `flights`, its endpoint, and executions of its release machine.

    Attributes:
        stand: The stack.
        versions: The packages by number.
        config: The endpoint configuration in service.
        endpoint: More members of DescribeEndpoint.
        release: What the release machine does with an execution: called with this and the input.
    """

    def __init__(self, stand):
        self.stand = stand
        self.versions = {}
        self.urls = {SEED_CONFIG: [("AllTraffic", SEED_URL, 1.0)]}
        self.config = SEED_CONFIG
        self.endpoint = {}
        self.executions = []
        self.release = lambda shelf, given: ("SUCCEEDED", "")
        self.sagemaker = stand.account.sagemaker
        self.sagemaker.answers |= {
            "describe_endpoint": self._endpoint,
            "describe_endpoint_config": self._config,
            "describe_model": lambda ModelName: {"PrimaryContainer": {"ModelDataUrl": ModelName}},
            "list_model_packages": lambda **_a: {
                "ModelPackageSummaryList": [
                    {"ModelPackageArn": p["ModelPackageArn"]} for _, p in sorted(self.versions.items())[::-1]
                ]
            },
            "describe_model_package": self._describe_package,
            "update_model_package": self._update,
        }
        stand.account.states.answers |= {
            "list_executions": self._executions,
            "describe_execution": self._execution,
            "start_execution": self._start,
            "get_execution_history": self._history,
        }
        self._put(SEED_URL, archive(spec=json.loads(SPEC.to_json())))
        self._put(SEED_URL.replace("model.tar.gz", "output.tar.gz"), archive(evaluation=evaluation(0.6)))

    def add(self, number, version="", approval="Approved", artifact=True, spec=None, score=0.7, **metadata):
        """Register a version with everything that lies in S3 about it; its ARN."""
        run = metadata.pop("run_id", f"{number}abc{number:016d}")
        url = f"s3://{ARTIFACTS}/training/flights/upkeep-dev-flights-{run}/output/model.tar.gz"
        decision = {"decision": "promote", "reason": "better by 0.01", "checks": metadata.pop("checks", [])}
        body = json.dumps(decision).encode()
        self._put(f"s3://{ARTIFACTS}/decisions/flights/{run}.json", body)
        if artifact:
            self._put(url, archive(spec=json.loads((spec or SPEC).to_json())))
            measured = archive(evaluation=evaluation(score, score - 0.01))
            self._put(url.replace("model.tar.gz", "output.tar.gz"), measured)
        known = {"run_id": run, "metric": "roc_auc", "challenger": str(score), "champion": str(score - 0.01)}
        known |= {"rows": "1000", "decision": "promote", "decision_sha256": hashlib.sha256(body).hexdigest()}
        self.versions[number] = {
            "ModelPackageArn": f"{GROUP}/{number}",
            "ModelPackageVersion": number,
            "CreationTime": START + timedelta(days=number),
            "ModelApprovalStatus": approval,
            "CustomerMetadataProperties": {**known, **({"version": version} if version else {}), **metadata},
            "InferenceSpecification": {"Containers": [{"Image": "i", "ModelDataUrl": url}]},
        }
        self.urls[self.config_of(number)] = [("AllTraffic", url, 1.0)]
        return f"{GROUP}/{number}"

    def config_of(self, number):
        """The configuration that serves a version."""
        return f"upkeep-dev-flights-v{number}" if number else SEED_CONFIG

    def url(self, number):
        return self.urls[self.config_of(number)][0][1]

    def serve(self, number, *before, **record):
        """Let a version serve, and those before it have served, newest first, as the ledger notes it."""
        self.config = self.config_of(number)
        if number:
            self.mark(number, "live")
        for one in before:
            if one:
                self.mark(one, "superseded")
        history = tuple(
            Served(config=self.config_of(one), package_arn=f"{GROUP}/{one}" if one else "", version=str(one))
            for one in before
        )
        values = {
            "config": self.config,
            "serving_package": f"{GROUP}/{number}" if number else "",
            "history": history,
            "previous_config": history[0].config if history else "",
            "previous_package": history[0].package_arn if history else "",
            **record,
        }
        self.note(**values)

    def note(self, **values):
        """Write the rollout record."""
        record = RolloutRecord(model="flights", **values)
        self.stand.context.client("dynamodb").put_item(
            TableName=self.stand.outputs["ledger_table"], Item=record.to_item()
        )

    def mark(self, number, release, **metadata):
        """What a release writes into the registry."""
        known = self.versions[number]["CustomerMetadataProperties"]
        known |= {"release": release, "endpoint_config": self.config_of(number), **metadata}
        known.setdefault("released_at", f"2026-11-{20 + number}T00:00:00Z")

    def updates(self):
        """What was written into the registry, in order."""
        return self.sagemaker.asked("update_model_package")

    def inputs(self):
        """What executions were started with."""
        return [json.loads(one["input"]) for one in self.executions]

    def _put(self, uri, body):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self.stand.s3.put_object(Bucket=bucket, Key=key, Body=body)

    def _endpoint(self, **_arguments):
        return {
            "EndpointConfigName": self.config,
            "EndpointStatus": "InService",
            "LastModifiedTime": START,
            **self.endpoint,
        }

    def _config(self, EndpointConfigName):
        return {
            "ProductionVariants": [
                {"VariantName": name, "ModelName": url, "InitialVariantWeight": weight}
                for name, url, weight in self.urls[EndpointConfigName]
            ]
        }

    def _describe_package(self, ModelPackageName):
        return self._package(ModelPackageName)

    def _package(self, arn):
        number = int(arn.rpartition("/")[2])
        if number not in self.versions:
            raise missing("model package")
        return self.versions[number]

    def _update(self, ModelPackageArn, **changes):
        found = self._package(ModelPackageArn)
        metadata = {**found["CustomerMetadataProperties"], **changes.pop("CustomerMetadataProperties", {})}
        before = found["ModelApprovalStatus"]
        found.update(changes, CustomerMetadataProperties=metadata)
        if found["ModelApprovalStatus"] == "Approved" != before:
            self._execute("event", {"detail": {"ModelPackageArn": ModelPackageArn}})
        return {"ModelPackageArn": ModelPackageArn}

    def _start(self, stateMachineArn, name, input):  # noqa: A002 - boto3's own spelling
        assert stateMachineArn == RELEASE
        if any(one["name"] == name for one in self.executions):
            raise refusal("ExecutionAlreadyExists")
        return {"executionArn": self._execute(name, json.loads(input)), "startDate": datetime.now(UTC)}

    def _execute(self, name, given):
        status, cause = self.release(self, given)
        arn = f"{RELEASE.replace(':stateMachine:', ':execution:')}:{name}-{len(self.executions)}"
        self.executions.append(
            {
                "executionArn": arn,
                "name": name,
                "status": status,
                "startDate": START,
                "stopDate": START + SECOND,
                "input": json.dumps(given),
                "cause": cause,
            }
        )
        return arn

    def _executions(self, stateMachineArn, **_arguments):
        return {"executions": self.executions[::-1] if stateMachineArn == RELEASE else []}

    def _execution(self, executionArn):
        found = next((one for one in self.executions if one["executionArn"] == executionArn), None)
        if found is None:
            raise refusal("ExecutionDoesNotExist", operation="DescribeExecution")
        return found

    def _history(self, **_arguments):
        said = [
            {"do": "check", "phase": "claimed"},
            {"do": "wait", "phase": "updating", "reason": "the endpoint is Updating"},
            {"do": "done", "phase": "", "reason": "version serves"},
        ]
        return {"events": history(*said)}


def history(*said, failed=""):
    """The history of a release whose steps said these results, a second apart."""
    events = [{"type": "ExecutionStarted", "timestamp": START}]
    for place, result in enumerate(said, 1):
        details = {"name": "Step", "output": json.dumps({"result": result})}
        at = START + place * SECOND
        events.append({"type": "TaskStateExited", "timestamp": at, "stateExitedEventDetails": details})
    end = START + (len(said) + 1) * SECOND
    if failed:
        details = {"error": "RolledBack", "cause": failed}
        return [
            *events,
            {"type": "ExecutionFailed", "timestamp": end, "executionFailedEventDetails": details},
        ]
    return [*events, {"type": "ExecutionSucceeded", "timestamp": end}]


def releases(shelf, given):
    """A release machine that brings the version of an approval into service."""
    number = int(given["detail"]["ModelPackageArn"].rpartition("/")[2])
    shelf.config = shelf.config_of(number)
    shelf.mark(number, "live")
    return "SUCCEEDED", ""


def takes_back(shelf, given):
    """A release machine whose alarms ring."""
    number = int(given["detail"]["ModelPackageArn"].rpartition("/")[2])
    shelf.mark(number, "rolled_back", release_reason="alarm upkeep-dev-flights-rollout-5xx rang")
    return "FAILED", "alarm rang"


def goes_back(shelf, given):
    """A release machine that carries out a rollback."""
    to = given["to"]
    shelf.config = shelf.config_of(0 if to == "seed" else int(to.rpartition("/")[2]))
    return "SUCCEEDED", ""
