from pathlib import Path

import pytest

from sandbox.deployer import project
from sandbox.deployer.project import ProjectError

SCHEMA = """
name: upkeep
runtime: {name: python}
main: infra/
config:
  models: {type: array, items: {type: string}, default: [flights]}
  days: {type: integer}
  loud: {type: boolean, default: false}
  aws:region: {value: us-east-1}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "infra").mkdir()
    (tmp_path / "Pulumi.yaml").write_text(SCHEMA)
    return tmp_path


def config(root: Path, text: str) -> dict[str, str]:
    (root / "Pulumi.dev.yaml").write_text(f"config:\n{text}")
    return dict(project.load(root, "dev").config)


def test_defaults_and_values_travel_as_text_and_objects_as_json(root: Path) -> None:
    found = config(root, "  upkeep:days: 7\n  upkeep:loud: true\n  aws:defaultTags: {tags: {a: b}}\n")
    assert found == {
        "upkeep:models": '["flights"]',
        "upkeep:days": "7",
        "upkeep:loud": "true",
        "aws:region": "us-east-1",
        "aws:defaultTags": '{"tags": {"a": "b"}}',
    }


def test_everything_wrong_is_reported_at_once(root: Path) -> None:
    with pytest.raises(ProjectError) as error:
        config(
            root, "  upkeep:days: many\n  upkeep:models: [1]\n  upkeep:dayz: 3\n  upkeep:x: {secure: abc}\n"
        )
    lines = str(error.value).splitlines()
    assert any("upkeep:days must be of type integer, found 'many'" in line for line in lines)
    assert any("upkeep:models must hold items of type string, found 1" in line for line in lines)
    assert any("unknown key upkeep:dayz" in line and "upkeep:models" in line for line in lines)
    assert any("upkeep:x is encrypted" in line for line in lines)


def test_a_missing_value_says_how_to_set_it(root: Path) -> None:
    with pytest.raises(ProjectError, match=r"upkeep:days is missing; set it with `pulumi config set days"):
        config(root, "  upkeep:loud: false\n")


def test_a_stack_without_a_file_names_those_there_are(root: Path) -> None:
    (root / "Pulumi.prod.yaml").write_text("")
    with pytest.raises(ProjectError, match="stacks of upkeep: prod"):
        project.load(root, "dev")


def test_another_runtime_is_refused(root: Path) -> None:
    (root / "Pulumi.yaml").write_text("name: x\nruntime: nodejs\n")
    with pytest.raises(ProjectError, match="runtime 'nodejs' found"):
        project.load(root, "dev")
