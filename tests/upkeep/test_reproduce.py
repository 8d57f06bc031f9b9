"""A version is trained again from what is recorded, and from nothing else."""

import io
import tarfile

import pytest

from tests.training.examples import tar_bytes
from tests.training.lambdas import ARTIFACTS, DATA
from tests.training.registry.examples import IMAGE, model_files
from tests.upkeep.foundry import FILES, JOB, KEY, ROLE, RUN, SEED_JOB, URL, Foundry
from tests.upkeep.stand import SEED_URL
from upkeep import models, reproduce, reproduce_inputs
from upkeep.errors import UpkeepError


@pytest.fixture
def foundry(stand):
    return Foundry(stand)


@pytest.fixture
def find(foundry, tmp_path):
    """Finds the inputs of a version."""

    def call(version="1.0.1"):
        there, target = foundry.context, foundry.stand.model
        registry = models.read(there, target, None)
        return reproduce_inputs.find(there, target, registry.find(version), tmp_path, lambda _: None)

    return call


@pytest.fixture
def train(foundry, find):
    """Trains a version again, with a clock that goes as it is waited."""

    def call(timeout_seconds=100.0, **how):
        time = [0.0]
        job = reproduce.Job.of(
            foundry.context,
            foundry.stand.model,
            find(),
            poll_seconds=1.0,
            clock=lambda: time[0],
            sleep=lambda seconds: time.__setitem__(0, time[0] + seconds),
            **how,
        )
        said = []
        try:
            return reproduce.reproduce(job, timeout_seconds, said.append), said
        finally:
            foundry.job = job

    return call


def _channels(request):
    return {
        one["ChannelName"]: one["DataSource"]["S3DataSource"]["S3Uri"] for one in request["InputDataConfig"]
    }


def test_the_same_model_has_the_same_digest_and_the_same_files(train):
    done, said = train()
    assert done.equal
    assert all(file.same for file in done.files)
    assert {file.name for file in done.files} >= {"model.joblib", "fitted.npy"}
    assert said == ["starting", "Completed", "comparing"]


def test_another_model_is_told_file_by_file(foundry, train):
    foundry.made = model_files("other", foundry.stand.spec)
    done, _ = train()
    assert not done.equal
    assert {file.name for file in done.files if not file.same} == {
        file.name for file in done.files if file.name != "spec.json"
    }


def test_libraries_that_changed_are_told(foundry, train):
    passport = foundry.made["passport.json"].replace(b'"1.9.0"', b'"1.9.1"')
    foundry.made = {**foundry.made, "passport.json": passport}
    done, _ = train()
    assert done.versions == {"scikit-learn": ("1.9.0", "1.9.1")}
    assert done.equal


def test_the_job_reads_what_the_first_one_read_under_a_name_of_its_own(foundry, train):
    train()
    request = foundry.asked()
    assert request["TrainingJobName"].startswith("upkeep-dev-flights-reproduce-")
    assert len(request["TrainingJobName"]) <= 63
    assert request["RoleArn"] == ROLE
    assert request["EnableNetworkIsolation"] is True
    assert request["AlgorithmSpecification"]["TrainingImage"] == IMAGE
    assert request["HyperParameters"]["run_id"] == RUN
    assert request["HyperParameters"]["model"] == "flights"
    assert request["OutputDataConfig"]["KmsKeyId"] == KEY
    assert request["OutputDataConfig"]["S3OutputPath"].startswith(f"s3://{ARTIFACTS}/reproductions/flights/")
    channels = _channels(request)
    assert (channels["data"], channels["champion"]) == (foundry.manifest, SEED_URL)
    assert channels["code"].startswith(f"s3://{ARTIFACTS}/reproductions/flights/")


def test_code_and_spec_come_out_of_the_versions_own_archive(foundry, find, monkeypatch):
    seen = {}
    create = foundry.stand.account.sagemaker.answers["create_training_job"]

    def look(**request):
        for name, uri in _channels(request).items():
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            seen[name] = foundry.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return create(**request)

    monkeypatch.setitem(foundry.stand.account.sagemaker.answers, "create_training_job", look)
    job = reproduce.Job.of(foundry.context, foundry.stand.model, find(), poll_seconds=0)
    reproduce.reproduce(job, 10, lambda _: None)
    with tarfile.open(fileobj=io.BytesIO(seen["code"]), mode="r:gz") as tar:
        assert tar.getnames() == ["inference/serving.py"]
        assert tar.extractfile("inference/serving.py").read() == b"import os\n"
    assert seen["spec"] == foundry.files["spec.json"]


def test_what_was_uploaded_is_deleted_for_good_and_the_rest_on_request(foundry, train):
    train()
    (left,) = foundry.left()
    assert left.endswith("/output/model.tar.gz")
    reproduce.discard(foundry.job)
    assert foundry.left() == []


@pytest.mark.parametrize("step", ["create_training_job", "describe_training_job"])
def test_a_failure_leaves_nothing_uploaded_and_nothing_running(foundry, find, step):
    inputs = find()
    answers = foundry.stand.account.sagemaker.answers
    whole, count = answers[step], []

    def fail(**request):
        count.append(1)
        if step == "create_training_job" or len(count) == 2:  # the first look is at the original job
            raise KeyboardInterrupt
        return whole(**request)

    foundry.ending = {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"}
    answers[step] = fail
    job = reproduce.Job.of(foundry.context, foundry.stand.model, inputs, poll_seconds=0)
    with pytest.raises(KeyboardInterrupt):
        reproduce.reproduce(job, 10, lambda _: None)
    assert not [key for key in foundry.left() if "/input/" in key]
    assert foundry.jobs.get(job.name, {}).get("TrainingJobStatus") in (None, "Stopped")


def test_a_job_that_takes_too_long_is_stopped(foundry, train):
    foundry.ending = {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"}
    with pytest.raises(UpkeepError, match=r"took longer than 100 s and was stopped; --timeout"):
        train()
    assert foundry.jobs[foundry.job.name]["TrainingJobStatus"] == "Stopped"


def test_a_job_that_failed_says_why(foundry, train):
    foundry.ending = {
        "TrainingJobStatus": "Failed",
        "SecondaryStatus": "Failed",
        "FailureReason": "AlgorithmError: no rows",
    }
    with pytest.raises(UpkeepError, match=r"ended as Failed: AlgorithmError: no rows"):
        train()


def test_where_the_first_job_is_forgotten_the_seeds_settings_are_taken(foundry, train):
    del foundry.jobs[JOB]
    train()
    assert foundry.asked()["RoleArn"] == ROLE


def test_where_all_jobs_are_forgotten_the_role_of_what_serves_is_taken(foundry, train):
    foundry.jobs.clear()
    foundry.stand.account.sagemaker.answers["describe_model"] = lambda **_: {
        "PrimaryContainer": {"ModelDataUrl": SEED_URL},
        "ExecutionRoleArn": "arn:serving",
    }
    train()
    assert foundry.asked()["RoleArn"] == "arn:serving"


def test_a_champion_that_was_replaced_is_read_from_the_version_that_was_compared_with(foundry, train):
    foundry.put(SEED_URL, b"something else")
    train()
    uri = _channels(foundry.asked())["champion"]
    assert uri.startswith(f"s3://{ARTIFACTS}/reproductions/flights/")
    assert not [key for key in foundry.left() if "champion" in key]


def test_an_artifact_that_was_replaced_is_read_from_the_version_that_was_registered(foundry, train):
    foundry.put(URL, tar_bytes(model_files("other", foundry.stand.spec)))
    assert train()[0].equal


LOST = {
    f"s3://{DATA}/{FILES[0]}": f"data file s3://{DATA}/{FILES[0]}: gone",
    f"s3://{DATA}/manifests/flights/{RUN}.json": "data manifest .*: gone",
    SEED_URL: "champion seed-abc1234, artifact .*: gone",
    URL: "artifact .*: gone",
}


@pytest.mark.parametrize("uri", LOST)
def test_an_input_that_is_gone_is_named_and_nothing_is_started(foundry, find, uri):
    foundry.erase(uri)
    with pytest.raises(UpkeepError, match=LOST[uri]):
        find()
    assert foundry.stand.account.sagemaker.asked("create_training_job") == []


def test_all_inputs_that_are_gone_are_named_at_once(foundry, find):
    for uri in LOST:
        foundry.erase(uri)
    foundry.put(f"s3://{DATA}/manifests/flights/{RUN}.json", b"[]")
    with pytest.raises(UpkeepError) as caught:
        find()
    said = str(caught.value)
    assert "artifact" in said
    assert "data manifest" in said
    assert "changed after the registration" in said
    assert "champion seed-abc1234" in said


def test_a_replaced_data_file_is_named_with_the_version_that_was_read(foundry, find):
    foundry.put(f"s3://{DATA}/{FILES[1]}", b"other")
    with pytest.raises(UpkeepError, match=rf"{FILES[1]}: replaced, the version .* was read"):
        find()


def test_a_changed_decision_is_no_source(foundry, find):
    foundry.put(foundry.decision["decision_uri"], b"{}")
    with pytest.raises(UpkeepError, match=r"decision .*: changed after its registration"):
        find()


def test_without_the_decision_the_package_itself_says_what_was_read(foundry, find):
    foundry.erase(foundry.decision["decision_uri"])
    found = find()
    assert (found.manifest_uri, found.champion.uri) == (foundry.manifest, SEED_URL)


def test_a_version_registered_without_a_passport_says_so(foundry, find):
    foundry.stand.account.packages[0]["CustomerMetadataProperties"] = {"run_id": RUN}
    with pytest.raises(UpkeepError, match="registered without a passport"):
        find(RUN[:8])


def test_the_seed_is_found_by_its_training_job(foundry, find):
    foundry.put(SEED_URL, tar_bytes(model_files("seed-abc1234", foundry.stand.spec)))
    source = {"S3DataSource": {"S3Uri": foundry.manifest}}
    foundry.jobs[SEED_JOB] |= {
        "InputDataConfig": [{"ChannelName": "data", "DataSource": source}],
        "AlgorithmSpecification": {"TrainingImage": IMAGE},
    }
    found = find("seed")
    assert (found.run_id, found.champion, found.image) == ("seed-abc1234", None, IMAGE)
    del foundry.jobs[SEED_JOB]
    with pytest.raises(UpkeepError, match="nothing else says what the seed read"):
        find("seed")
