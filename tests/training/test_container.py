"""The project's own training and serving code in the image's toolkits, isolated, on real flights."""

import dataclasses
import json
import shutil
from pathlib import Path

import duckdb
import pytest

from infra.archives import sources
from models.load import load, seed_file
from sandbox.image import Image
from tests.sandbox.containers import running
from tests.sandbox.containers.conftest import folder, image  # noqa: F401 - fixtures
from tests.training.examples import pack

pytestmark = [pytest.mark.image, pytest.mark.xdist_group("image")]
FLIGHTS = load(["flights"])["flights"]
# The seed's holdout is half a day: too few hours to know what chance does.
SPEC = dataclasses.replace(FLIGHTS, gate=dataclasses.replace(FLIGHTS.gate, block="row"))


def _train(
    folder: Path,  # noqa: F811
    image: Image,  # noqa: F811
    rows: list[str],
    run_id: str,
    champion: Path | None = None,
    accepted: Path | None = None,
    **changes,
):
    """Lay out a job as the platform does and run it to its end."""
    inputs = folder / f"inputs-{run_id}" / "input" / "data"
    files = {
        "spec/flights.json": SPEC.to_json(),
        "data/accepted/flights/seed.csv": "\n".join(rows) + "\n",
    }
    code = {name: content.decode() for name, content in sources().items()}
    channels = {name: {"TrainingInputMode": "File"} for name in ("code", "spec", "data")}
    running.write(inputs, files)
    if accepted:
        shutil.copy(accepted, inputs / "data" / "accepted" / "flights" / "ab.parquet")
    if champion:
        channels["champion"] = {"TrainingInputMode": "File"}
        (inputs / "champion").mkdir()
        shutil.copy(champion, inputs / "champion" / "model.tar.gz")
    tree = folder / f"job-{run_id}"
    shutil.copytree(folder / f"inputs-{run_id}", tree)
    running.archive(tree / "input" / "data" / "code" / "code.tar.gz", code)
    hyperparameters = {
        "sagemaker_program": "training/train.py",
        "sagemaker_submit_directory": "/opt/ml/input/data/code/code.tar.gz",
        "model": "flights",
        "run_id": run_id,
    }
    spec = running.TrainingSpec(
        job_name=f"job-{run_id}",
        tree=tree,
        image=image,
        hyperparameters=hyperparameters,
        environment={},
        channels=channels,
        instance_type="ml.m5.large",
        instance_count=1,
        network_isolation=True,
        credentials=None,
        region="us-east-1",
        endpoint_url="http://127.0.0.1:9",
    )
    lines: list[str] = []
    container = running.TrainingContainer(dataclasses.replace(spec, **changes), lines.append)
    container.start()
    return running.Training(container, tree, lines)


@pytest.fixture(scope="module")
def jobs(folder, image):  # noqa: F811
    """A first job on half the seed, and a second one that is compared with it.

    The second one reads the seed as text and, as accepted data is, as Parquet too.
    """
    rows = seed_file("flights").read_text().splitlines()
    accepted = folder / "accepted.parquet"
    numbers = [f.name for f in SPEC.features if f.type == "number"] + [SPEC.target]
    chosen = ", ".join(f'CAST("{name}" AS DOUBLE) AS "{name}"' for name in numbers)
    duckdb.sql(
        f"COPY (SELECT * REPLACE (CAST(departure AS TIMESTAMP) AS departure, {chosen}), 'x' AS added FROM "
        f"read_csv('{seed_file('flights')}', all_varchar=true)) TO '{accepted}' (FORMAT parquet)"
    )
    first = _train(folder, image, rows[:900], "12345678901234567e89")
    assert first.finish() == 0, first.text
    champion = pack(first.tree / "model", folder / "model.tar.gz")
    second = _train(folder, image, rows, "22222222222222222222", champion, accepted)
    assert second.finish() == 0, second.text
    return first, second


@pytest.fixture(scope="module")
def server(folder, image, jobs):  # noqa: F811
    """The second job's model, served."""
    tree = folder / "serve"
    shutil.copytree(jobs[1].tree / "model", tree / "model")
    spec = running.ServingSpec(
        name="server",
        tree=tree,
        image=image,
        environment={
            "SAGEMAKER_PROGRAM": "inference.serving",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            "PIP_NO_BUILD_ISOLATION": "false",
            "PIP_NO_INDEX": "1",
            "OMP_NUM_THREADS": "1",
            "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        },
        network_isolation=True,
        credentials=None,
        region="us-east-1",
        endpoint_url="http://127.0.0.1:9",
    )
    lines: list[str] = []
    container = running.ServingContainer(spec, lines.append)
    container.start()
    serving = running.Serving(container, tree, lines)
    try:
        serving.wait_for_ping()
        yield serving
    finally:
        container.stop()


def _evaluation(job):
    return json.loads((job.tree / "output" / "data" / "evaluation.json").read_text())


def test_the_image_trains_the_model_and_prints_its_metrics(jobs):
    first, _ = jobs
    evaluation = _evaluation(first)
    assert evaluation["run_id"] == "12345678901234567e89"  # and not the number it looks like
    assert evaluation["versions"]["scikit-learn"] == "1.9.0"
    assert any(
        f"challenger_roc_auc={evaluation['challenger']['roc_auc']:.6g};" in line for line in first.lines
    )
    assert (first.tree / "model" / "code" / "inference" / "serving.py").is_file()


def test_the_next_job_compares_with_the_model_of_the_one_before(jobs):
    evaluation = _evaluation(jobs[1])
    assert evaluation["note"] == ""
    assert evaluation["champion_run_id"] == "12345678901234567e89"
    assert set(evaluation["champion"]) == set(evaluation["challenger"])
    assert evaluation["paired"]["standard_error"] > 0
    assert evaluation["latency"]["p99_milliseconds"] > 0
    assert evaluation["leakage"]["champion"]["repeated"] < 0.1


def test_the_image_reads_parquet_and_counts_the_rows_it_has_as_text_once(jobs):
    evaluation = _evaluation(jobs[1])
    distinct = len(set(seed_file("flights").read_text().splitlines()[1:]))
    assert evaluation["files"] == ["accepted/flights/ab.parquet", "accepted/flights/seed.csv"]
    assert evaluation["rows"]["total"] == distinct


def test_a_job_on_bad_data_fails_with_our_own_words(folder, image):  # noqa: F811
    rows = seed_file("flights").read_text().splitlines()[:300]
    job = _train(folder, image, [*rows, rows[-1].rsplit(",", 1)[0] + ",7"], "3" * 20)
    assert job.finish() == 1
    assert job.container.failure_text() == (
        "column late: the 299 rows to train with (duplicate rows dropped: 1) hold the label 7; a binary "
        "label is 0 or 1"
    )


def test_the_server_answers_the_sample_as_training_expected(server, jobs):
    sample = json.loads((jobs[1].tree / "output" / "data" / "sample.json").read_text())
    body = json.dumps({"instances": sample["instances"]}).encode()
    status, headers, answer = server.ask(body, Content_Type="application/json", Accept="application/json")
    assert status == 200
    assert json.loads(answer)["predictions"] == sample["predictions"]
    found = {name.lower(): value for name, value in headers.items()}
    assert found["x-amzn-sagemaker-custom-attributes"] == "model=flights;run=22222222222222222222"
    assert found["content-type"] == "application/json"


def test_the_server_answers_csv_line_by_line(server):
    body = seed_file("flights").read_bytes()
    for content_type in ("text/csv", "text/csv; charset=utf-8"):
        status, headers, answer = server.ask(body, Content_Type=content_type, Accept="text/csv")
        assert (status, answer.count("\n")) == (200, 1759)
        assert {name.lower(): value for name, value in headers.items()}["content-type"].startswith("text/csv")


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "words"),
    [
        (b"UA,EWR", "text/csv", "*/*", 400, "row 1: found 2 cells, expected 15"),
        (
            b'[{"carrier": "UA"}]',
            "application/json",
            "*/*",
            400,
            "column 'origin': found nothing, expected one of EWR",
        ),
        (b"\xff\xfe", "text/csv", "*/*", 400, "the body is not UTF-8 text"),
        (b"[" * 100_000, "application/json", "*/*", 400, "nested too deeply"),
        (b"\x93NUMPY", "application/x-npy", "*/*", 415, "expected one of text/csv, application/json"),
        (b"[]", "application/json", "image/png", 406, "expected one of application/json, text/csv"),
    ],
)
def test_the_server_refuses_with_a_reason_and_never_with_a_page(
    server, body, content_type, accept, status, words
):
    found, _, answer = server.ask(body, Content_Type=content_type, Accept=accept)
    assert found == status
    assert words in json.loads(answer)["error"]
