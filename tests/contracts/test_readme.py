"""The README names only what there is."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.infra.mocks import standard

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")


def _commands(text: str) -> set[str]:
    return set(re.findall(r"(?:^|`|\$\()upkeep ([a-z]+)", text, re.MULTILINE))


@pytest.fixture(scope="module")
def known_commands() -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-m", "upkeep", "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    return set(re.findall(r"^  ([a-z]+)  ", shown, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_a_page_names_exists(page: Path, known_commands: set[str]):
    assert _commands(page.read_text(encoding="utf-8")) <= known_commands


def test_the_readme_shows_every_command(known_commands: set[str]):
    assert known_commands - {"refresh", "outputs", "preview"} <= set(re.findall(r"upkeep ([a-z]+)", README))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_make_target_named_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        t
        for page in PAGES
        for t in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert named <= targets


def test_the_configuration_table_is_that_of_the_schema():
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    rows = dict(re.findall(r"^\| `upkeep:(\w+)` \| \w+ \| `(.*?)` \|", README, re.MULTILINE))
    assert rows == {key: json.dumps(entry["default"]) for key, entry in schema.items()}


def test_the_outputs_are_those_the_program_exports():
    outputs = standard().outputs
    expected = set(outputs) | set(outputs["models"]["flights"])
    section = README.split("## Outputs")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == expected
