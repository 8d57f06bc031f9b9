import hashlib
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from infra import settings
from infra.jobs import CODE_IN_CONTAINER
from infra.model_role import image_repository_arn
from infra.seed import Seed
from models import load as loading
from models.spec import SpecError
from tests.infra.mocks import ACCOUNT, IMAGE, Deployment, deploy, standard

ARTIFACTS, DATA = f"s3://upkeep-test-artifacts-{ACCOUNT}", f"s3://upkeep-test-data-{ACCOUNT}"


def test_the_seed_job_reads_code_spec_and_data_and_has_no_network() -> None:
    job = standard().one("TrainingJob")
    channels = {c["channelName"]: c["dataSource"]["s3DataSource"] for c in job["inputDataConfigs"]}
    assert set(channels) == {"code", "spec", "data"}, "the first model has no champion"
    assert channels["code"]["s3Uri"].startswith(f"{ARTIFACTS}/code/")
    assert channels["spec"]["s3Uri"] == f"{ARTIFACTS}/specs/flights.json"
    assert channels["data"]["s3DataType"] == "ManifestFile"
    assert job["enableNetworkIsolation"] is True
    assert job["outputDataConfig"]["s3OutputPath"] == f"{ARTIFACTS}/training/flights"
    assert job["hyperParameters"]["sagemaker_submit_directory"] == CODE_IN_CONTAINER
    assert job["hyperParameters"]["sagemaker_program"] == "training/train.py"
    assert job["trainingJobName"] == f"upkeep-test-flights-{job['hyperParameters']['run_id']}"


def test_the_seed_is_stored_where_an_accepted_file_lies_with_the_facts_the_intake_writes() -> None:
    seed = standard().one("BucketObjectv2", "flights-seed")
    content = loading.seed_file("flights").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert seed["key"] == f"accepted/flights/{digest[:16]}-seed.csv"
    assert seed["metadata"]["sha256"] == digest
    assert int(seed["metadata"]["rows"]) == len(content.splitlines()) - 1


def test_the_manifest_is_sagemakers_own_and_named_by_its_digest() -> None:
    listed = standard().one("BucketObjectv2", "flights-manifest")
    key = standard().one("BucketObjectv2", "flights-seed")["key"]
    text = listed["source"]["text"]
    assert json.loads(text) == [{"prefix": f"{DATA}/"}, key]
    assert listed["key"] == f"manifests/flights/{hashlib.sha256(text.encode()).hexdigest()[:20]}.json"


def test_the_endpoint_serves_the_model_of_the_seed_job() -> None:
    deployment = standard()
    job = deployment.one("TrainingJob")["trainingJobName"]
    model, config = deployment.one("aws:sagemaker/model:Model"), deployment.one("EndpointConfiguration")
    assert (
        model["primaryContainer"]["modelDataUrl"] == f"{ARTIFACTS}/training/flights/{job}/output/model.tar.gz"
    )
    assert model["primaryContainer"]["image"] == IMAGE
    assert config["productionVariants"][0]["modelName"] == model["name"]
    assert config["productionVariants"][0]["variantName"] == "AllTraffic"
    assert config["dataCaptureConfig"]["destinationS3Uri"] == f"{DATA}/capture/flights"
    assert deployment.one("aws:sagemaker/endpoint:Endpoint")["endpointConfigName"] == config["name"]


def test_a_spec_that_records_nothing_has_no_capture() -> None:
    deployment = deploy({"overrides": {"flights": {"serving": {"capture_percent": 0}}}})
    assert "dataCaptureConfig" not in deployment.one("EndpointConfiguration").inputs


@pytest.mark.parametrize(
    "kind",
    ["TrainingJob", "aws:sagemaker/model:Model", "EndpointConfiguration", "aws:sagemaker/endpoint:Endpoint"],
)
def test_what_a_release_owns_is_never_changed_by_a_later_up(kind: str) -> None:
    resource = standard().one(kind)
    free = {"tags", "name"} if kind.endswith(":Endpoint") else {"tags"}
    assert set(resource.inputs) - free <= set(resource.options["ignore_changes"])


def test_a_changed_spec_changes_the_seeds_name_so_that_a_failed_one_can_be_repeated() -> None:
    other = deploy({"overrides": {"flights": {"training": {"seed": 1}}}})
    names = {d.one("TrainingJob")["trainingJobName"] for d in (standard(), other)}
    assert len(names) == 2


def test_the_old_code_stays_for_the_executions_that_still_use_it() -> None:
    assert standard().one("BucketObjectv2", "code-archive").options["retain_on_delete"] is True


def test_the_role_of_a_model_reaches_its_own_prefixes_alone() -> None:
    allowed = standard().allowed("flights-policy")
    data = f"arn:aws:s3:::upkeep-test-data-{ACCOUNT}"
    assert set(allowed["s3:PutObject"]) == {
        f"arn:aws:s3:::upkeep-test-artifacts-{ACCOUNT}/training/flights/*",
        f"arn:aws:s3:::upkeep-test-artifacts-{ACCOUNT}/checks/flights/*",
        f"arn:aws:s3:::upkeep-test-artifacts-{ACCOUNT}/reproductions/flights/*",
        f"{data}/capture/flights/*",
    }
    readable = [arn for arn in allowed["s3:GetObject"] if arn.startswith(data)]
    assert readable == [f"{data}/accepted/flights/*", f"{data}/manifests/flights/*"]
    assert allowed["ecr:BatchGetImage"] == [
        "arn:aws:ecr:eu-central-1:492215442770:repository/sagemaker-scikit-learn"
    ]


def test_a_model_without_a_seed_says_which_file_is_missing(tmp_path: Path) -> None:
    spec = loading.load(["flights"])["flights"]
    with pytest.raises(SpecError, match=r"seed\.csv: no such file; every model needs"):
        Seed.read(tmp_path / "seed.csv", spec)


def test_a_seed_that_lacks_columns_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    spec = loading.load(["flights"])["flights"]
    (tmp_path / "seed.csv").write_text("departure,carrier\n2013-01-01T05:00:00,UA\n")
    with pytest.raises(SpecError, match=r"missing column origin, dest, .*, late; found departure"):
        Seed.read(tmp_path / "seed.csv", spec)


def test_errors_of_seeds_come_together_with_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "seed_file", lambda name: tmp_path / name / "seed.csv")
    with pytest.raises(settings.SettingsError, match="2 errors") as caught:
        deploy({"approval": "perhaps"})
    assert "flights/seed.csv: no such file" in str(caught.value)


def test_an_image_outside_amazons_registry_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected <account>.dkr.ecr.<region>"):
        image_repository_arn("docker.io/library/python:3.12", "aws")


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    for name in ("flights", "trains"):
        shutil.copytree(loading.MODELS_DIR / "flights", tmp_path / name)
    monkeypatch.setattr(settings, "load_specs", partial(loading.load, root=tmp_path))
    monkeypatch.setattr(settings, "seed_file", partial(loading.seed_file, root=tmp_path))
    return deploy({"models": ["flights", "trains"]})


def test_a_second_model_gets_everything_of_its_own_without_a_change_of_code(two: Deployment) -> None:
    for kind in ("ModelPackageGroup", "TrainingJob", "EndpointConfiguration", "aws:sagemaker/model:Model"):
        assert len(two.of(kind)) == 2, kind
    assert len(two.of("aws:sfn/stateMachine:StateMachine")) == 4
    assert len(two.of("aws:lambda/function:Function")) == 4, "functions serve all models"
    outputs: dict[str, Any] = two.outputs["models"]
    assert set(outputs) == {"flights", "trains"}
    assert outputs["trains"]["incoming"] == f"{DATA}/incoming/trains/"


def test_no_model_may_touch_the_other(two: Deployment) -> None:
    for name in ("trains-policy", "trains-retrain-policy", "trains-release-policy"):
        arns = [arn for found in two.allowed(name).values() for arn in found]
        assert not [arn for arn in arns if "flights" in arn], name


def test_only_a_model_on_spot_capacity_may_write_checkpoints() -> None:
    spot = deploy({"overrides": {"flights": {"training": {"spot": True}}}})
    for deployment, allowed in ((spot, True), (standard(), False)):
        policy = json.dumps(
            deployment.one("aws:iam/rolePolicy:RolePolicy", "flights-policy").document("policy")
        )
        assert ("checkpoints/flights/*" in policy) is allowed
