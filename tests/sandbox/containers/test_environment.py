"""The variables a container starts with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sandbox.containers.environment import container_environment
from sandbox.containers.isolation import Mode
from sandbox.containers.tree import Tree

TREE = Tree(Path("/t"))


@dataclass
class Spec:
    environment: dict[str, str] = field(default_factory=dict)
    network_isolation: bool = False
    credentials: dict[str, str] | None = field(default_factory=lambda: {"AWS_ACCESS_KEY_ID": "ASIA"})
    region: str = "eu-west-1"
    endpoint_url: str = "http://127.0.0.1:4566"


def made(network: Mode = "host", **changes: object) -> dict[str, str]:
    return container_environment(TREE, Spec(**changes), network)  # type: ignore[arg-type]


def test_nothing_of_the_host_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "AWS_PROFILE", "HTTPS_PROXY", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "of-the-host")
    assert "of-the-host" not in made().values()


def test_the_images_own_commands_come_first() -> None:
    assert made()["PATH"].split(":")[0] == "/t/.run/venv/bin"


def test_the_role_and_the_way_to_aws_are_given() -> None:
    seen = made()
    assert (seen["AWS_ACCESS_KEY_ID"], seen["AWS_ENDPOINT_URL"]) == ("ASIA", "http://127.0.0.1:4566")
    assert (seen["AWS_REGION"], seen["AWS_DEFAULT_REGION"]) == ("eu-west-1", "eu-west-1")


def test_an_isolated_container_gets_neither() -> None:
    seen = made("root", network_isolation=True)
    assert not {"AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "https_proxy"} & seen.keys()


def test_where_isolation_cannot_be_had_clients_are_led_nowhere() -> None:
    seen = made("host", network_isolation=True)
    assert seen["https_proxy"] == seen["HTTP_PROXY"] == "http://127.0.0.1:9"
    assert "AWS_ACCESS_KEY_ID" not in seen


def test_the_users_variables_win_over_the_images_with_paths_mapped() -> None:
    seen = made(environment={"LANG": "de_DE", "CACHE": "/opt/ml/cache", "SAGEMAKER_BASE_DIR": "/opt/ml"})
    assert (seen["LANG"], seen["CACHE"]) == ("de_DE", "/t/cache")


@pytest.mark.parametrize("name", ["SAGEMAKER_BASE_DIR", "HOME", "AWS_EC2_METADATA_DISABLED"])
def test_what_keeps_a_container_in_its_tree_cannot_be_changed(name: str) -> None:
    assert made(environment={name: "elsewhere"})[name] != "elsewhere"
