"""One sandbox with the whole stack in it, driven the way a person drives it: by the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import localstack_client.session
import pytest
import yaml

from models.flights import months
from sandbox import lifecycle
from tests.conftest import free_port
from training import versions
from training.dispatch import policy
from training.ledger.records import SUCCEEDED, RunRecord
from training.ledger.table import Ledger

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 150.0
# A stack of the tests' own: its file may be changed as a person changes one.
STACK = "sandbox-loop"
STACK_FILE = ROOT / f"Pulumi.{STACK}.yaml"
# The test of the demo and those of the check have it; here it would take as long as the rest of a release.
QUICK_RELEASE = {"check_requests": 0}
# What the gate thinks of a month is tried elsewhere; here a better one must go on, however close it is.
EASY_GATE = {"block": "row", "confidence": 0.5, "minimum_gain": 0.0}


@dataclass
class Operator:
    """A person at a shell that has eaten `upkeep sandbox env`."""

    info: lifecycle.SandboxInfo
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the shell."""
        return {**os.environ, **lifecycle.environment(self.info), "NO_COLOR": "1", "UPKEEP_STACK": STACK}

    def upkeep(self, *args: str | Path, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run `upkeep` with these arguments; another exit code than `expect` fails the test."""
        return self._run([sys.executable, "-m", "upkeep", *map(str, args)], expect)

    def aws_cli(self, *args: str | Path, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run the AWS CLI."""
        return self._run([str(Path(sys.executable).parent / "aws"), *map(str, args)], expect)

    def json(self, *args: str | Path, expect: int | None = 0) -> Any:
        """The `--json` form of a command."""
        return json.loads(self.upkeep(*args, "--json", expect=expect).stdout)

    def python(self, script: str) -> str:
        """What a script prints that a data scientist runs in this shell."""
        return self._run([sys.executable, "-W", "ignore", "-c", script], 0).stdout

    def client(self, service: str) -> Any:
        """A client as the account's owner."""
        session = localstack_client.session.Session(
            region_name=lifecycle.REGION, localstack_host=f"localhost:{self.info.port}"
        )
        return session.client(service)

    def configure(self, flights: dict[str, Any] | None = None, **changes: Any) -> None:
        """Write the stack file: that of the sandbox with these keys of ours, and of the spec, changed."""
        document = yaml.safe_load((ROOT / "Pulumi.sandbox.yaml").read_text(encoding="utf-8"))
        overrides = document["config"]["upkeep:overrides"]["flights"]
        overrides |= {"gate": EASY_GATE, "serving": overrides["serving"] | QUICK_RELEASE, **(flights or {})}
        document["config"] |= {f"upkeep:{key}": value for key, value in changes.items()}
        STACK_FILE.write_text(yaml.safe_dump(document), encoding="utf-8")

    @property
    def ledger(self) -> Ledger:
        """What the stack knows of every object and run."""
        return Ledger(self.client("dynamodb"), self.outputs["ledger_table"])

    @contextmanager
    def spec(self, **sections: dict[str, Any]) -> Iterator[None]:
        """Change keys of the deployed spec for a while; the functions and jobs read it each time."""
        s3, place = (
            self.client("s3"),
            {"Bucket": self.outputs["artifacts_bucket"], "Key": "specs/flights.json"},
        )
        sound = s3.get_object(**place)["Body"].read()
        changed = json.loads(sound)
        for name, values in sections.items():
            changed[name] |= values
        s3.put_object(**place, Body=json.dumps(changed).encode())
        try:
            yield
        finally:
            s3.put_object(**place, Body=sound)

    def runs(self) -> dict[str, RunRecord]:
        """All runs of the reference model by id, the first one first."""
        found = sorted(self.ledger.runs("flights"), key=lambda run: run.started_at)
        return {run.run_id: run for run in found}

    def sources(self, run: RunRecord) -> set[str]:
        """Where the files of a run's data version came from: keys below `incoming/flights/`."""
        s3, bucket = self.client("s3"), self.outputs["data_bucket"]
        record = json.load(
            s3.get_object(Bucket=bucket, Key=versions.record_key(run.model, run.data_version))["Body"]
        )
        return {item["source"].removeprefix("incoming/flights/") for item in record["objects"]}

    def incoming(self) -> list[str]:
        """Keys of the files that the intake has not taken yet."""
        found = self.client("s3").list_objects_v2(Bucket=self.outputs["data_bucket"], Prefix="incoming/")
        return [item["Key"] for item in found.get("Contents", [])]

    def wait_until_idle(self) -> None:
        """Wait until all that arrived is sorted, and trained on or held back."""
        eventually(self._idle, "all is sorted, trained on and released")

    def _idle(self) -> bool:
        ledger = self.ledger
        if self.incoming() or any(run.state in policy.UNDER_WAY for run in ledger.runs("flights")):
            return False
        wanted = versions.select("flights", self.outputs["data_bucket"], "all", ledger.data("flights"))
        trained = {run.data_version for run in ledger.runs("flights") if run.state == SUCCEEDED}
        return wanted.is_seed or wanted.id in trained or ledger.plan("flights").held is not None

    @property
    def flights(self) -> dict[str, Any]:
        """The stack's outputs about the reference model."""
        found: dict[str, Any] = self.outputs["models"]["flights"]
        return found

    def _run(self, command: list[str], expect: int | None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        if expect is not None and done.returncode != expect:
            said = f"{done.stdout}\n{done.stderr}"
            pytest.fail(f"{' '.join(command[1:])} ended with {done.returncode}, expected {expect}\n{said}")
        return done


def eventually(
    ask: Callable[[], Any], why: str, seconds: float = DEADLINE_SECONDS, pause_seconds: float = 0.5
) -> Any:
    """The first truthy answer, or a failed test that says what never came true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(pause_seconds)
    pytest.fail(f"not within {seconds:g} s: {why}")


@pytest.fixture(scope="package")
def operator() -> Iterator[Operator]:
    """A sandbox of its own, because the last test wants to see an empty account, with the stack deployed."""
    info = lifecycle.start(free_port(), detach=False)
    person = Operator(info)
    try:
        person.configure()
        person.upkeep("up", "--yes")
        person.outputs = person.json("outputs")
        yield person
    finally:
        STACK_FILE.unlink(missing_ok=True)
        if lifecycle.find(info.port):
            lifecycle.stop(info.port)


@pytest.fixture(scope="package")
def month(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The CSV file of a month of real flights."""
    folder = tmp_path_factory.mktemp("months")
    return lambda number: months.write_month(number, folder)


def alarms_ringing(person: Operator) -> Mapping[str, str]:
    """Alarms in state ALARM with the reason CloudWatch gives."""
    found = person.client("cloudwatch").describe_alarms(StateValue="ALARM")["MetricAlarms"]
    return {alarm["AlarmName"]: alarm["StateReason"] for alarm in found}


def everything(person: Operator) -> dict[str, list[str]]:
    """The names of all there is in the account, by kind."""
    asked = {
        "buckets": ("s3", "list_buckets", "Buckets", "Name"),
        "queues": ("sqs", "list_queues", "QueueUrls", None),
        "topics": ("sns", "list_topics", "Topics", "TopicArn"),
        "tables": ("dynamodb", "list_tables", "TableNames", None),
        "roles": ("iam", "list_roles", "Roles", "RoleName"),
        "functions": ("lambda", "list_functions", "Functions", "FunctionName"),
        "mappings": ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
        "log groups": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
        "rules": ("events", "list_rules", "Rules", "Name"),
        "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        "dashboards": ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
        "state machines": ("stepfunctions", "list_state_machines", "stateMachines", "name"),
        "aliases": ("kms", "list_aliases", "Aliases", "AliasName"),
        "training jobs": ("sagemaker", "list_training_jobs", "TrainingJobSummaries", "TrainingJobName"),
        "models": ("sagemaker", "list_models", "Models", "ModelName"),
        "configs": ("sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        "endpoints": ("sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
        "groups": (
            "sagemaker", "list_model_package_groups", "ModelPackageGroupSummaryList", "ModelPackageGroupName",
        ),
    }  # fmt: skip
    found = {}
    for kind, (service, call, key, name) in asked.items():
        items = getattr(person.client(service), call)().get(key) or []
        found[kind] = [item if name is None else item[name] for item in items]
    found["aliases"] = [alias for alias in found["aliases"] if not alias.startswith("alias/aws/")]
    return found
