import io
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from infra import archives


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for package in archives.PACKAGES:
        folder = tmp_path / package
        (folder / "__pycache__").mkdir(parents=True)
        (folder / "__init__.py").write_text("")
        (folder / "work.py").write_text(f"NAME = {package!r}\n")
        (folder / "__pycache__" / "work.cpython-312.pyc").write_bytes(b"cache")
        (folder / ".hidden.py").write_text("")
        (folder / "data.csv").write_text("1,2\n")
    return tmp_path


def test_the_same_code_gives_the_same_bytes_whenever_and_however_it_lies_there(project: Path) -> None:
    first = archives.build(bundle=False, root=project, folder=project / "one")
    for path in project.rglob("work.py"):
        path.chmod(0o755)
        os.utime(path, (time.time() + 1000,) * 2)
    (project / "training" / "__pycache__" / "more.pyc").write_bytes(b"x")
    second = archives.build(bundle=False, root=project, folder=project / "two")
    assert first.digest == second.digest
    assert first.training.read_bytes() == second.training.read_bytes()
    assert first.functions.read_bytes() == second.functions.read_bytes()


def test_changed_code_gives_another_digest(project: Path) -> None:
    before = archives.build(bundle=False, root=project, folder=project / "build").digest
    (project / "training" / "work.py").write_text("NAME = 'other'\n")
    assert archives.build(bundle=False, root=project, folder=project / "build").digest != before


def test_the_root_of_both_archives_holds_the_packages_without_caches_and_data(project: Path) -> None:
    built = archives.build(bundle=False, root=project, folder=project / "build")
    expected = sorted(
        f"{package}/{file}" for package in archives.PACKAGES for file in ("__init__.py", "work.py")
    )
    with tarfile.open(built.training) as tar:
        assert tar.getnames() == expected
        assert {(entry.mtime, entry.mode, entry.uid) for entry in tar} == {(0, 0o644, 0)}
    with zipfile.ZipFile(built.functions) as archive:
        assert archive.namelist() == expected


def test_what_was_built_once_is_not_built_again(project: Path) -> None:
    built = archives.build(bundle=False, root=project, folder=project / "build")
    written = built.training.stat().st_mtime_ns
    assert archives.build(bundle=False, root=project, folder=project / "build").training == built.training
    assert built.training.stat().st_mtime_ns == written


def test_the_bundle_carries_the_packages_and_our_own_code_wins(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = project / "packages-abc"
    (site / "duckdb").mkdir(parents=True)
    (site / "duckdb" / "__init__.py").write_text("x = 1")
    (site / "training").mkdir()
    (site / "training" / "work.py").write_text("foreign")
    monkeypatch.setattr(archives, "dependencies", lambda *_: site)
    built = archives.build(bundle=True, root=project, folder=project / "build")
    with zipfile.ZipFile(built.functions) as archive:
        assert "duckdb/__init__.py" in archive.namelist()
        assert archive.read("training/work.py") == b"NAME = 'training'\n"


def test_a_bundle_that_lambda_would_refuse_is_refused_here(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = project / "packages-abc"
    site.mkdir()
    (site / "large.bin").write_bytes(b"0" * 2048)
    monkeypatch.setattr(archives, "dependencies", lambda *_: site)
    monkeypatch.setattr(archives, "MAX_UNZIPPED_BYTES", 1024)
    with pytest.raises(archives.CodeError, match="remove packages from the extra `lambda`"):
        archives.build(bundle=True, root=project, folder=project / "build")


def test_the_real_code_unpacks_to_something_that_imports(tmp_path: Path) -> None:
    files = archives.sources()
    with tarfile.open(fileobj=io.BytesIO(archives.tar_gz(files))) as tar:
        tar.extractall(tmp_path, filter="data")
    program = "import models.spec, training.errors, sys; print(models.spec.__file__)"
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {program}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert found.stdout.startswith(str(tmp_path))
    assert {"training/train.py", "inference/serving.py", "models/spec.py"} <= set(files)


def test_no_module_of_the_program_hides_another() -> None:
    # Pulumi puts infra/ itself first on the import path.
    own = {path.stem for path in Path(archives.__file__).parent.glob("*.py")} - {"__init__", "__main__"}
    packages = {"infra", "models", "monitoring", "inference", "sandbox", "tests", "training", "upkeep"}
    assert not own & (sys.stdlib_module_names | packages | {"pulumi", "pulumi_aws", "yaml"})
