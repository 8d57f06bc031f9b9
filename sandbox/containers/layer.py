"""A container's own layer over the shared image environment.

`pip install .` at the start of a server, or `pip install -r requirements.txt` before training, writes into
the environment it runs in. Containers share one image environment and start at the same time, so each gets a
virtual environment of its own with nothing in it: what it installs stays in its tree, and everything else is
found in the image behind it. Making one costs some milliseconds.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.image import Image


def make_layer(venv: Path, image: Image) -> None:
    """Create the environment.

    Args:
        venv: Where; what was there is removed.
        image: What it lies over.
    """
    if venv.exists():
        shutil.rmtree(venv)
    # The same relative place as in the image: the interpreter finds it from its own version.
    site_packages = venv / image.site_packages.relative_to(image.root)
    site_packages.mkdir(parents=True)
    shutil.copyfile(image.root / "pyvenv.cfg", venv / "pyvenv.cfg")
    # addsitedir and not a plain path: it also reads the .pth files there, setuptools' distutils among them.
    (site_packages / "image.pth").write_text(f"import site; site.addsitedir({str(image.site_packages)!r})\n")
    commands = venv / "bin"
    commands.mkdir()
    for name in ("python", "python3", image.site_packages.parent.name):
        (commands / name).symlink_to(image.python.resolve())
    _copy_scripts(image, commands)


def _copy_scripts(image: Image, commands: Path) -> None:
    """Copy the commands that run on the image's interpreter, made to run on the layer's."""
    first_line = f"#!{image.bin}/python".encode()
    for script in image.bin.iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        content = script.read_bytes()
        line, separator, rest = content.partition(b"\n")
        if line.startswith(first_line):
            copy = commands / script.name
            copy.write_bytes(f"#!{commands}/python".encode() + separator + rest)
            copy.chmod(0o755)
