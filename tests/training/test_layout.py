"""Rules the container's import path puts on the files of ``training/``."""

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "training"
NAMES = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}


def test_no_module_hides_one_of_the_standard_library_or_of_another_package():
    # training/ comes first on sys.path when train.py runs.
    ours = {"models", "training", "inference", "monitoring", "infra", "sandbox", "upkeep", "tests"}
    assert not NAMES & (set(sys.stdlib_module_names) | ours | set(packages_distributions()))


def test_nothing_that_could_be_pickled_is_defined_in_the_entry_point():
    tree = ast.parse((FOLDER / "train.py").read_text())
    assert not [n for n in ast.walk(tree) if isinstance(n, (ast.ClassDef, ast.FunctionDef, ast.Lambda))]


def test_lambdas_start_without_the_large_libraries():
    import subprocess

    code = (
        "import sys, training.intake.handler, training.judge, inference.release.handler; "
        "print([m for m in ('numpy', 'pandas', 'sklearn', 'duckdb', 'boto3') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
