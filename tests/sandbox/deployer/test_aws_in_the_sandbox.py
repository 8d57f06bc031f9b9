"""The provider's types against the running sandbox: create, nothing, change, drift, replace, delete."""

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pulumi_aws as aws
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
            program.run(engine, self.program)

        project = Project("proj", self._path.parent, self._path.parent, "dev", CONFIG)
        return Stack(project, self._path, {"aws": lambda: AwsProvider(self._session, self._url)}, run=run)

    def program(self) -> None:
        every_type.program(self.two)

    def up(self) -> Result:
        result = self.stack().up()
        assert result.failures == []
        return result


class Small(Deployment):
    """A table and some items."""

    TABLE = "small-table"
    protected = False

    def __init__(self, path: Path, url: str) -> None:
        super().__init__(path, url)
        self.items: dict[str, str] = {}

    def program(self) -> None:
        table = aws.dynamodb.Table(
            "table",
            name=self.TABLE,
            billing_mode="PAY_PER_REQUEST",
            hash_key="pk",
            attributes=[{"name": "pk", "type": "S"}],
            deletion_protection_enabled=self.protected,
        )
        for name, note in self.items.items():
            item = {"pk": {"S": name}, "note": {"S": note}}
            aws.dynamodb.TableItem(name, table_name=table.name, hash_key="pk", item=json.dumps(item))


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
    assert ops["table"] == ops["item"] == "update"
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
    table, item = f"{every_type.PREFIX}-table", {"pk": {"S": "one"}, "sk": {"N": "1"}}
    client("dynamodb").update_time_to_live(
        TableName=table, TimeToLiveSpecification={"Enabled": False, "AttributeName": "ends"}
    )
    client("dynamodb").delete_item(TableName=table, Key=item)
    client("cloudwatch").delete_dashboards(DashboardNames=[every_type.PREFIX])
    client("iam").delete_role_policy(RoleName=f"{every_type.PREFIX}-machine-role", PolicyName="own")
    found = {step.name: str(step.op) for step in deployed.stack().refresh().changes}
    assert found == {
        "function": "update",
        "dashboard": "delete",
        "machine-role": "update",
        "table": "update",
        "item": "delete",
    }
    repaired = {step.name: str(step.op) for step in deployed.up().changes}
    assert repaired["dashboard"] == "create"
    assert deployed.up().changes == []
    configuration = client("lambda").get_function_configuration(FunctionName=every_type.PREFIX)
    assert configuration["Timeout"] == 20
    assert client("dynamodb").get_item(TableName=table, Key=item)["Item"]["bytes"] == {"B": b"\x01\x02"}


def test_a_table_that_is_protected_outlives_its_program_until_it_is_not(
    sandbox: lifecycle.SandboxInfo, tmp_path: Path
) -> None:
    stack = Small(tmp_path / "dev.json", sandbox.url)
    stack.protected = True
    stack.up()
    result = stack.stack().destroy()
    assert any("deletion protection" in line.lower() for line in result.failures), result.failures
    stack.protected = False
    stack.up()
    assert stack.stack().destroy().ok


def test_an_item_that_somebody_else_wrote_is_not_taken_over(
    sandbox: lifecycle.SandboxInfo, tmp_path: Path
) -> None:
    stack = Small(tmp_path / "dev.json", sandbox.url)
    stack.up()
    dynamodb = boto3.Session("test", "test", region_name=lifecycle.REGION).client(
        "dynamodb", endpoint_url=sandbox.url
    )
    dynamodb.put_item(TableName=Small.TABLE, Item={"pk": {"S": "mine"}})
    stack.items = {"mine": "x"}
    (failure,) = [line for line in stack.stack().up().failures if "TableItem" in line]
    assert "exists already" in failure
    stack.items = {"other": "one"}
    stack.up()
    stack.items = {"other": "two"}
    dynamodb.update_item(
        TableName=Small.TABLE,
        Key={"pk": {"S": "other"}},
        UpdateExpression="SET extra = :e",
        ExpressionAttributeValues={":e": {"S": "kept"}},
    )
    stack.up()
    found = dynamodb.get_item(TableName=Small.TABLE, Key={"pk": {"S": "other"}})["Item"]
    assert found == {"pk": {"S": "other"}, "note": {"S": "two"}, "extra": {"S": "kept"}}
    assert stack.stack().destroy().ok


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
