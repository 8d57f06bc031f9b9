"""SageMaker takes an update back and calls the endpoint InService: what a provider makes of that.

The provider for Terraform, which Pulumi's is made from, waits for InService and looks no further: it reports
success, and a replaced configuration is then deleted although it serves (terraform-provider-aws issues 46663
and 48997).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pulumi_aws as aws
import pytest
from botocore.exceptions import ClientError

from sandbox import lifecycle
from sandbox.deployer import program
from sandbox.deployer.engine import Engine
from sandbox.deployer.project import Project
from sandbox.deployer.provider import sagemaker as provider_of_sagemaker
from sandbox.deployer.provider.provider import AwsProvider
from sandbox.deployer.stack import Stack
from tests.sandbox.conftest import client, policy, served_by
from tests.sandbox.sagemaker.fakes import IMAGE, tarball

pytestmark = [pytest.mark.sandbox, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "sagemaker.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
READ = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


@pytest.fixture(scope="module")
def info() -> Iterator[lifecycle.SandboxInfo]:
    with served_by("tests.sandbox.fake_containers") as found:
        yield found


class Deployment:
    """A program with an endpoint whose configuration is replaced with every model, as people write it."""

    def __init__(self, path: Path, url: str) -> None:
        self._path, self._url = path, url
        self._session = boto3.Session("test", "test", region_name=lifecycle.REGION)
        self.sagemaker = client(url, "sagemaker")
        iam, s3 = client(url, "iam"), client(url, "s3")
        role = iam.create_role(RoleName=path.stem, AssumeRolePolicyDocument=policy(TRUST))["Role"]
        iam.put_role_policy(RoleName=path.stem, PolicyName="read", PolicyDocument=policy(READ))
        self._role = role["Arn"]
        self._name = path.stem
        s3.create_bucket(Bucket=path.stem)
        s3.put_object(Bucket=path.stem, Key="model.tar.gz", Body=tarball({"name.txt": b"first"}))

    def stack(self, behaviour: str) -> Stack:
        def body() -> None:
            container = {
                "image": IMAGE,
                "model_data_url": f"s3://{self._name}/model.tar.gz",
                "environment": {"BEHAVIOUR": behaviour},
            }
            model = aws.sagemaker.Model("model", execution_role_arn=self._role, primary_container=container)
            variant = {
                "variant_name": "AllTraffic",
                "model_name": model.name,
                "instance_type": "ml.m5.large",
                "initial_instance_count": 1,
            }
            config = aws.sagemaker.EndpointConfiguration("config", production_variants=[variant])
            aws.sagemaker.Endpoint("endpoint", name=self._name, endpoint_config_name=config.name)

        def run(engine: Engine) -> None:
            program.run(engine, body)

        project = Project(
            "proj", self._path.parent, self._path.parent, "dev", {"aws:region": lifecycle.REGION}
        )
        return Stack(project, self._path, {"aws": lambda: AwsProvider(self._session, self._url)}, run=run)

    def serving_config(self) -> dict[str, Any]:
        name = self.sagemaker.describe_endpoint(EndpointName=self._name)["EndpointConfigName"]
        found: dict[str, Any] = self.sagemaker.describe_endpoint_config(EndpointConfigName=name)
        return {key: value for key, value in found.items() if key != "ResponseMetadata"}


def _wait_for_in_service_alone(call: Any, name: str, _config: str) -> None:
    def settled() -> Any:
        status = call.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointStatus"]
        return status if status == "InService" else None

    provider_of_sagemaker.wait_until(settled, 20.0, name)


def test_a_provider_that_waits_for_in_service_alone_deletes_what_serves(
    info: lifecycle.SandboxInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_of_sagemaker, "_wait_in_service", _wait_for_in_service_alone)
    deployment = Deployment(tmp_path / "plain-provider.json", info.url)
    assert deployment.stack("ok").up().ok
    assert deployment.stack("exits").up().ok, "the update was taken back, and reported as a success"
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        deployment.serving_config()


def test_ours_fails_with_the_reason_and_what_serves_stays(
    info: lifecycle.SandboxInfo, tmp_path: Path
) -> None:
    deployment = Deployment(tmp_path / "our-provider.json", info.url)
    assert deployment.stack("ok").up().ok
    before = deployment.serving_config()
    failed = deployment.stack("exits").up()
    assert len(failed.failures) == 1
    assert "was rolled back: it serves" in failed.failures[0]
    assert deployment.serving_config() == before
    again = deployment.stack("ok").up()
    assert again.failures == []
    assert deployment.stack("ok").preview().changes == []
    assert deployment.serving_config()["ProductionVariants"][0]["VariantName"] == "AllTraffic"
