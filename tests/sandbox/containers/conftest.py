"""The shared image environment and short folders for container trees."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.image import Image, ensure


@pytest.fixture(scope="session")
def image() -> Image:
    """The image environment; built once per machine, which takes some ten seconds."""
    return ensure()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with a short path, because unix sockets in it have a limited one."""
    path = Path(tempfile.mkdtemp(prefix="uk-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
