"""The provider's types against the running sandbox: create, nothing, change, drift, replace, delete."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from sandbox import lifecycle
from sandbox.deployer import program
from sandbox.deployer.engine import Engine
from sandbox.deployer.project import Project
from sandbox.deployer.provider.provider import AwsProvider
from sandbox.deployer.stack import Result, Stack
from tests.sandbox.deployer import every_type

pytestmark = [pytest.mark.sandbox, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
CONFIG = {"aws:region": lifecycle.REGION, "aws:defaultTags": '{"tags": {"made-by": "test"}}'}


class Deployment:
    def __init__(self, path: Path, url: str) -> None:
        self._path = path
        self._session = boto3.Session("test", "test", region_name=lifecycle.REGION)
        self._url = url
        self.two = False

    def stack(self) -> Stack:
        def run(engine: Engine) -> None:
            program.run(engine, lambda: every_type.program(self.two))

        project = Project("proj", self._path.parent, self._path.parent, "dev", CONFIG)
        return Stack(project, self._path, {"aws": lambda: AwsProvider(self._session, self._url)}, run=run)

    def up(self) -> Result:
        result = self.stack().up()
        assert result.failures == []
        return result


@pytest.fixture(scope="module")
def deployed(
    sandbox: lifecycle.SandboxInfo, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path_factory.mktemp("state") / "dev.json", sandbox.url)
    deployment.up()
    yield deployment
    result = deployment.stack().destroy()
    assert result.failures == []
    sqs = boto3.Session("test", "test", region_name=lifecycle.REGION).client("sqs", endpoint_url=sandbox.url)
    assert not sqs.list_queues(QueueNamePrefix=every_type.PREFIX).get("QueueUrls")


def test_a_second_up_of_every_type_changes_nothing(deployed: Deployment) -> None:
    assert [(step.name, step.changes) for step in deployed.up().changes] == []


def test_a_refresh_finds_no_difference_where_there_is_none(deployed: Deployment) -> None:
    found = deployed.stack().refresh()
    assert [(step.name, str(step.op), step.changes) for step in found.changes] == []


def test_every_change_arrives_and_is_there_when_read_back(deployed: Deployment) -> None:
    deployed.two = True
    changed = deployed.up()
    ops = {step.name: str(step.op) for step in changed.changes}
    assert ops["function"] == "update"
    assert ops["model"] == ops["config"] == ops["group"] == "replace"
    assert len(ops) > 25
    assert deployed.up().changes == []
    found = deployed.stack().refresh()
    assert [(step.name, str(step.op), step.changes) for step in found.changes] == []
    deployed.two = False
    deployed.up()
    found = deployed.stack().refresh()
    assert [(step.name, str(step.op), step.changes) for step in found.changes] == []


def test_drift_is_found_and_repaired(deployed: Deployment, sandbox: lifecycle.SandboxInfo) -> None:
    def client(service: str) -> object:
        session = boto3.Session("test", "test", region_name=lifecycle.REGION)
        return session.client(service, endpoint_url=sandbox.url)

    client("lambda").update_function_configuration(FunctionName=every_type.PREFIX, Timeout=99)
    client("cloudwatch").delete_dashboards(DashboardNames=[every_type.PREFIX])
    client("iam").delete_role_policy(RoleName=f"{every_type.PREFIX}-machine-role", PolicyName="own")
    found = {step.name: str(step.op) for step in deployed.stack().refresh().changes}
    assert found == {"function": "update", "dashboard": "delete", "machine-role": "update"}
    repaired = {step.name: str(step.op) for step in deployed.up().changes}
    assert repaired["dashboard"] == "create"
    assert deployed.up().changes == []
    configuration = client("lambda").get_function_configuration(FunctionName=every_type.PREFIX)
    assert configuration["Timeout"] == 20


def test_without_permission_the_message_of_aws_names_the_resource(
    deployed: Deployment, sandbox: lifecycle.SandboxInfo, tmp_path: Path
) -> None:
    other = Deployment(tmp_path / "dev.json", sandbox.url)
    result = other.stack().up()
    assert not result.ok
    assert any(
        "aws:s3/bucket:Bucket bucket: CreateBucket: BucketAlreadyExists" in line for line in result.failures
    )
    assert other.stack().destroy().ok
