"""A fitted model and accounts for the handlers."""

import pytest

from inference.answering import Answerer
from tests.training.conftest import store  # noqa: F401 - a fixture
from tests.training.examples import declare, environment, lines, text
from training import artifact
from training.main import main


@pytest.fixture(scope="session")
def model_dirs(tmp_path_factory):
    """The model directories of three finished training jobs, by task."""
    dirs = {}
    for task in ("binary", "multiclass", "regression"):
        folder = tmp_path_factory.mktemp(task)
        assert (
            main(environment(folder, declare(task), {"a.csv": text(lines(300, task))}, run_id=f"run-{task}"))
            == 0
        )
        dirs[task] = folder / "model"
    return dirs


@pytest.fixture(scope="session")
def models(model_dirs):
    return {task: artifact.load(folder) for task, folder in model_dirs.items()}


@pytest.fixture(scope="session")
def model(models):
    return models["binary"]


@pytest.fixture(scope="session")
def answerer(model):
    return Answerer(model)
