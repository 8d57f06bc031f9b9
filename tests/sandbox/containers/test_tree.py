"""The folders of a container and the image's paths in what users write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.containers.tree import Tree

TREE = Tree(Path("/t"))


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("/opt/ml", "/t"),
        ("/opt/ml/model/code", "/t/model/code"),
        ("/opt/ml/code:/opt/ml/model", "/t/code:/t/model"),
        ('"/opt/ml/input/data/code"', '"/t/input/data/code"'),
        ("--dir=/opt/ml/model", "--dir=/t/model"),
        ("file:///opt/ml/model", "file:///t/model"),
        ("/opt/venv/bin/python", "/t/.run/venv/bin/python"),
        ("/home/model-server/tmp", "/t/.run/tmp"),
        ("s3://bucket/opt/ml/model", "s3://bucket/opt/ml/model"),
        ("/mnt/opt/ml", "/mnt/opt/ml"),
        ("/opt/mlflow", "/opt/mlflow"),
        ("training/train.py", "training/train.py"),
    ],
)
def test_the_images_paths_become_the_trees_and_others_stay(written: str, becomes: str) -> None:
    assert TREE.map(written) == becomes


def test_a_tree_too_long_for_a_socket_is_refused_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has 1\d\d bytes, 107 are allowed"):
        Tree(tmp_path / ("x" * 110)).make()


def test_the_platforms_files_are_written_before_a_job(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "t")
    tree.make_training(
        hyperparameters={"sagemaker_submit_directory": "/opt/ml/input/data/code", "depth": "3"},
        channels={"code": {"TrainingInputMode": "File"}},
        instance_type="ml.m5.large",
    )
    config = {path.name: json.loads(path.read_text()) for path in tree.config.iterdir()}
    assert config["hyperparameters.json"] == {
        "sagemaker_submit_directory": f"{tmp_path}/t/input/data/code",
        "depth": "3",
    }
    assert config["inputdataconfig.json"] == {"code": {"TrainingInputMode": "File"}}
    assert config["resourceconfig.json"]["hosts"] == ["localhost"]
    assert config["resourceconfig.json"]["instance_groups"][0]["instance_type"] == "ml.m5.large"
    assert (tree.channels / "code").is_dir()
    assert (tree.output / "data").is_dir()
