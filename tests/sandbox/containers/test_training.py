"""The behaviours of a training container that the project's code relies on, with the real toolkits."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from sandbox.containers.isolation import isolation_mode, mount_mode
from sandbox.image import Image
from tests.sandbox.containers.running import REPORT, REPOSITORY, Training, listener, package, training

pytestmark = pytest.mark.image

FAILS = package("import sys; sys.exit(3)")
FAILS_WITH_A_TEXT = package(
    "import os, sys\n"
    "open(os.path.join(os.environ['SM_OUTPUT_DIR'], 'failure'), 'w').write('AlgorithmError: no rows')\n"
    "sys.exit(3)\n"
)
TRIES_TO_CONNECT = package(
    "import os, socket, sys\n"
    "try:\n"
    "    socket.create_connection(('127.0.0.1', int(os.environ['PORT'])), timeout=2).close()\n"
    "    print('connected')\n"
    "except OSError as error:\n"
    "    print('no way out:', error)\n"
    "print('role:', os.environ.get('AWS_ACCESS_KEY_ID'))\n"
)
WAITS = package(
    "import os, pathlib, signal, time\n"
    "model = pathlib.Path(os.environ['SM_MODEL_DIR'])\n"
    "signal.signal(signal.SIGTERM, lambda *_: (model / 'sigterm').touch())\n"
    "print('waiting', flush=True)\n"
    "deadline = time.monotonic() + float(os.environ['SECONDS'])\n"
    "while time.monotonic() < deadline: time.sleep(0.05)\n"
    "(model / 'done').touch()\n"
)


@pytest.fixture(scope="module")
def job(folder: Path, image: Image) -> Training:
    """A job that ran well and reported how it was started."""
    hyperparameters = {
        "zeta": "1",
        "depth": "[3, 5]",
        "grid": '{"a": 1, "b": 2}',
        "use-bagging": "true",
        "nothing": "null",
        "model": "flights",
        "k": "0.5",
    }
    job = training(
        folder, image, package(REPORT), hyperparameters=hyperparameters, environment={"MINE": "yes"}
    )
    assert job.finish() == 0, job.text
    return job


def test_the_program_runs_in_a_fresh_copy_of_the_archive(job: Training) -> None:
    assert job.report["argv"][0] == "training/train.py"
    assert job.report["cwd"] == str(job.tree / "code")
    assert Path(job.report["uses"]) == job.tree / "code" / "models" / "spec.py"
    assert f"{job.tree}/.run/venv/bin/python training/train.py" in job.text


def test_the_programs_folder_comes_first_then_the_code_root_and_never_the_repository(job: Training) -> None:
    assert job.report["path"][:2] == [str(job.tree / "code" / "training"), str(job.tree / "code")]
    assert job.report["env"]["PYTHONPATH"].split(":")[0] == str(job.tree / "code")
    assert str(REPOSITORY) not in [*job.report["path"], *job.report["env"]["PYTHONPATH"].split(":")]


def test_hyperparameters_arrive_sorted_as_arguments_and_the_platforms_own_do_not(job: Training) -> None:
    expected = ["--depth", "[3, 5]", "--grid", "a=1,b=2", "-k", "0.5", "--model", "flights", "--nothing", ""]
    assert job.report["argv"][1:] == [*expected, "--use-bagging", "True", "--zeta", "1"]


def test_hyperparameters_arrive_as_variables_too(job: Training) -> None:
    env = job.report["env"]
    assert {name: env[name] for name in ("SM_HP_MODEL", "SM_HP_USE-BAGGING", "SM_HP_K")} == {
        "SM_HP_MODEL": "flights",
        "SM_HP_USE-BAGGING": "true",
        "SM_HP_K": "0.5",
    }
    assert json.loads(env["SM_HPS"])["depth"] == [3, 5]
    assert not [name for name in env if name.startswith("SM_HP_SAGEMAKER")]


def test_the_variables_and_folders_of_a_job_exist(job: Training) -> None:
    env, tree = job.report["env"], job.tree
    expected = {
        "SM_MODEL_DIR": tree / "model",
        "SM_OUTPUT_DIR": tree / "output",
        "SM_OUTPUT_DATA_DIR": tree / "output" / "data",
        "SM_INPUT_DIR": tree / "input",
        "SM_INPUT_CONFIG_DIR": tree / "input" / "config",
        "SM_CHANNEL_CODE": tree / "input" / "data" / "code",
        "SM_CURRENT_HOST": "localhost",
        "SM_HOSTS": '["localhost"]',
        "SM_CURRENT_INSTANCE_TYPE": "ml.m5.large",
        "SM_CHANNELS": '["code"]',
        "SM_USER_ENTRY_POINT": "training/train.py",
        "TRAINING_JOB_NAME": "job-1",
        "MINE": "yes",
    }
    assert {name: env.get(name) for name in expected} == {
        name: str(value) for name, value in expected.items()
    }
    assert (tree / "input" / "data" / "code").is_dir()
    assert (tree / "output" / "success").exists()


def test_nothing_of_the_callers_environment_gets_in(
    folder: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_HOST", "1")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    job = training(folder, image, package(REPORT))
    assert job.finish() == 0, job.text
    assert "OF_THE_HOST" not in job.report["env"]
    assert str(REPOSITORY) not in job.report["env"]["PYTHONPATH"]
    assert job.report["env"]["HOME"].startswith(str(job.tree))
    assert job.report["env"]["TEMP"].startswith(str(job.tree))


def test_the_variable_of_the_submit_directory_is_ignored(folder: Path, image: Image) -> None:
    job = training(
        folder,
        image,
        package(REPORT),
        hyperparameters={"sagemaker_submit_directory": None},
        environment={"SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/input/data/code/code.tar.gz"},
    )
    assert job.finish() == 1
    assert "ExitCode 2" in job.container.failure_text()
    assert not list((job.tree / "code").iterdir())


def test_an_unpacked_channel_is_a_submit_directory_too(folder: Path, image: Image) -> None:
    job = training(folder, image, package(REPORT), unpacked=True)
    assert job.finish() == 0, job.text
    assert job.report["cwd"] == str(job.tree / "code")


@pytest.mark.parametrize("extra", [{"setup.py": ""}, {"requirements.txt": "not-installed-here==1.0\n"}])
def test_what_makes_pip_fetch_something_fails_an_isolated_job_before_the_script(
    folder: Path, image: Image, extra: dict[str, str]
) -> None:
    job = training(folder, image, package(REPORT) | extra, environment={"PIP_RETRIES": "0"})
    assert job.finish() == 1
    assert "pip install" in job.container.failure_text()
    assert not (job.tree / "model" / "report.json").exists()


def test_a_satisfied_requirements_file_does_no_harm(folder: Path, image: Image) -> None:
    job = training(folder, image, package(REPORT) | {"requirements.txt": "scikit-learn\n"})
    assert job.finish() == 0, job.text


def test_an_isolated_job_cannot_fetch_its_code_from_s3(folder: Path, image: Image) -> None:
    uri = "s3://bucket/code.tar.gz"
    job = training(folder, image, package(REPORT), hyperparameters={"sagemaker_submit_directory": uri})
    assert job.finish() != 0
    assert job.container.failure_text().startswith("Framework Error:")


def test_a_failing_script_ends_the_container_with_1_and_its_own_code_is_in_the_text(
    folder: Path, image: Image
) -> None:
    job = training(folder, image, FAILS)
    assert job.finish() == 1
    assert job.container.failure_text().startswith('ExecuteUserScriptError:\nExitCode 3\nErrorMessage ""\n')
    assert "Traceback" not in job.container.failure_text()


def test_a_failure_text_of_the_scripts_own_survives(folder: Path, image: Image) -> None:
    job = training(folder, image, FAILS_WITH_A_TEXT)
    assert job.finish() == 1
    assert job.container.failure_text() == "AlgorithmError: no rows"


def test_the_other_toolkit_overwrites_a_failure_text(folder: Path, image: Image) -> None:
    job = training(folder, image, FAILS_WITH_A_TEXT, toolkit="sagemaker-containers")
    assert job.finish() == 1
    assert job.container.failure_text().startswith("framework error:")
    assert "ExitCode 3" in job.container.failure_text()


def test_an_entry_point_of_the_jobs_own_replaces_the_command(folder: Path, image: Image) -> None:
    entrypoint = ["python", "-m", "sagemaker_training.cli.train"]
    job = training(folder, image, FAILS_WITH_A_TEXT, entrypoint=entrypoint)
    assert job.finish() == 1
    assert job.container.failure_text() == "AlgorithmError: no rows"


def test_entry_point_and_arguments_may_name_the_images_paths(folder: Path, image: Image) -> None:
    job = training(
        folder,
        image,
        {"say.py": "import sys; print('said', sys.argv[1:])"},
        unpacked=True,
        entrypoint=["/opt/venv/bin/python", "/opt/ml/input/data/code/say.py"],
        arguments=["--in=/opt/ml/input"],
    )
    assert job.finish() == 0, job.text
    assert job.lines[-1] == f"said ['--in={job.tree}/input']"


def test_a_path_that_the_script_spells_out_is_found(folder: Path, image: Image) -> None:
    if mount_mode(image.python) == "none":
        pytest.skip("this platform allows no mount namespace")
    script = (
        "text = open('/opt/ml/input/config/hyperparameters.json').read()\n"
        "open('/opt/ml/model/n', 'w').write(str(len(text)))\n"
    )
    job = training(folder, image, package(script))
    assert job.finish() == 0, job.text
    assert int((job.tree / "model" / "n").read_text()) > 10


def test_an_isolated_job_has_no_network_and_no_credentials(folder: Path, image: Image) -> None:
    if isolation_mode(image.python) == "host":
        pytest.skip("this platform allows no network namespace")
    with listener() as port:
        job = training(folder, image, TRIES_TO_CONNECT, environment={"PORT": str(port)})
        assert job.finish() == 0, job.text
    assert "no way out" in job.text
    assert "role: None" in job.lines


def test_a_job_that_is_not_isolated_has_its_roles_credentials(folder: Path, image: Image) -> None:
    with listener() as port:
        job = training(
            folder, image, TRIES_TO_CONNECT, environment={"PORT": str(port)}, network_isolation=False
        )
        assert job.finish() == 0, job.text
    assert {"connected", "role: ASIATEST"} <= set(job.lines)


def test_stopping_reaches_the_toolkit_alone_and_the_script_is_killed_after_the_grace(
    folder: Path, image: Image
) -> None:
    job = training(folder, image, WAITS, environment={"SECONDS": "60"})
    _wait_for_line(job, "waiting")
    started = time.monotonic()
    job.container.stop(grace_seconds=1.0)
    assert 1.0 <= time.monotonic() - started < 10
    assert job.finish() == 137
    assert not (job.tree / "model" / "sigterm").exists()
    assert not (job.tree / "model" / "done").exists()


def test_a_script_that_ends_within_the_grace_still_succeeds(folder: Path, image: Image) -> None:
    job = training(folder, image, WAITS, environment={"SECONDS": "1.5"})
    _wait_for_line(job, "waiting")
    job.container.stop(grace_seconds=30.0)
    assert job.finish() == 0
    assert not (job.tree / "model" / "sigterm").exists()
    assert (job.tree / "output" / "success").exists()


def test_several_instances_are_said_to_be_one(folder: Path, image: Image) -> None:
    job = training(folder, image, package(REPORT), instance_count=3)
    assert job.finish() == 0, job.text
    assert "sandbox: 3 instances were asked for, the sandbox runs one" in job.lines


def test_the_channels_folders_exist_even_when_nothing_was_downloaded(folder: Path, image: Image) -> None:
    job = training(folder, image, package(REPORT), channels={"code": {}, "champion": {}})
    assert job.finish() == 0, job.text
    assert Path(job.report["env"]["SM_CHANNEL_CHAMPION"]).is_dir()
    assert json.loads((job.tree / "input" / "config" / "inputdataconfig.json").read_text()) == {
        "code": {},
        "champion": {},
    }


def _wait_for_line(job: Training, line: str) -> None:
    deadline = time.monotonic() + 30
    while line not in job.lines:
        assert time.monotonic() < deadline, job.text
        assert job.container.alive(), job.text
        time.sleep(0.02)
