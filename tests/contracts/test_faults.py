"""Every fault of docs/reference/faults.md has a test that exists, or says that it is not done."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "faults.md"
FAULTS = 36
LATER = {27, 28, 29, 30}
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def _rows() -> dict[int, str]:
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {int(number): text for number, text in rows}


@functools.cache
def _tests_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, functions) and node.name.startswith("test_")}


def test_every_fault_has_a_row() -> None:
    assert list(_rows()) == list(range(1, FAULTS + 1))


@pytest.mark.parametrize("number", range(1, FAULTS + 1))
def test_every_test_that_a_fault_names_exists(number: int) -> None:
    row = _rows()[number]
    named = _TEST.findall(row)
    missing = [f"{file}::{name}" for file, name in named if name not in _tests_of(file)]
    assert missing == []
    assert named or "Not yet" in row, "shown by a test, or not done"
    assert ("Not yet" in row) == (number in LATER)
