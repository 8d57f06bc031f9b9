import re

import pytest

from tests.contracts import reference_pages
from tests.contracts.reference_pages import FOLDER, ROLES, put
from tests.infra.mocks import standard


@pytest.mark.parametrize("name", ["configuration.md", "permissions.md"])
def test_a_generated_page_says_what_the_program_says(name: str) -> None:
    page = (FOLDER / name).read_text()
    block = reference_pages.pages()[FOLDER / name]
    assert put(page, block) == page, "write it anew with: python -m tests.contracts.reference_pages"
    assert block in page


def test_every_role_is_on_the_page_of_permissions() -> None:
    assert {f"{name}-role" for name in ROLES} == {role.name for role in standard().of("aws:iam/role:Role")}


def test_the_page_of_outputs_names_every_output_and_no_other() -> None:
    text = (FOLDER / "outputs.md").read_text()
    named = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    outputs = standard().outputs
    assert named == set(outputs) | set(outputs["models"]["flights"])
