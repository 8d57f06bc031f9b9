from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.sagemaker.harness import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "r")
    yield made
    made.close()
    assert not list(made.platform.root.iterdir()), "a tree was left behind"
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("sagemaker-")]
    assert not made.containers.running()
