"""Archives of our own code whose bytes depend on the code alone, for containers and Lambda functions."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_aws as aws

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
# What runs inside AWS. The archive's root holds the folders: the containers put it on the import path.
PACKAGES = ("inference", "models", "monitoring", "training")
SUFFIXES = frozenset({".json", ".py", ".sql"})

LAMBDA_PYTHON = "3.12"
LAMBDA_PLATFORM = "x86_64-manylinux_2_28"  # Amazon Linux 2023 has glibc 2.34
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html (unzipped, layers included)
MAX_UNZIPPED_BYTES = 250 * 1024 * 1024
_UV_TIMEOUT_SECONDS = 600
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest a zip file can say
_FILE_MODE = 0o644


class CodeError(RuntimeError):
    """The code could not be packed."""


def sources(root: Path = ROOT) -> dict[str, bytes]:
    """Our packages' files by their path in the archive, sorted; no data, caches or hidden files."""
    found = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for package in PACKAGES
        for path in sorted((root / package).rglob("*"))
        if path.is_file() and path.suffix in SUFFIXES and not _hidden(path.relative_to(root))
    }
    return dict(sorted(found.items()))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 over names and contents, 20 hexadecimal digits; compression and dates play no part."""
    total = hashlib.sha256()
    for name, content in sorted(files.items()):
        total.update(f"{name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()[:20]


def tar_gz(files: Mapping[str, bytes]) -> bytes:
    """A gzipped tar: sorted names, one date, one owner.

    It is stored and not compressed, because compressed bytes differ between versions of zlib.
    """
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=0, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), _FILE_MODE
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def zip_file(files: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip: sorted names, one date, one mode."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _ZIP_DATE)
            entry.create_system = 3  # Unix, whatever this machine is
            entry.external_attr = _FILE_MODE << 16
            entry.compress_type = compression
            archive.writestr(entry, content)
    return buffer.getvalue()


@dataclass(frozen=True, kw_only=True)
class Archives:
    """The built files.

    Attributes:
        digest: Of our own code; part of the key in the artifacts bucket.
        training: Path of ``code.tar.gz``, for the containers.
        functions: Path of the zip, for the Lambda functions.
    """

    digest: str
    training: Path
    functions: Path


def build(*, bundle: bool, root: Path = ROOT, folder: Path = BUILD) -> Archives:
    """Pack the code, or find what was packed before.

    Args:
        bundle: Whether the functions' archive carries the packages of the extra ``lambda`` too.
        root: Folder of the packages.
        folder: Where the archives go.

    Raises:
        CodeError: A dependency could not be fetched, or the functions' archive would be too large.
    """
    files = sources(root)
    own = digest(files)
    training = _written(folder / own / "code.tar.gz", lambda: tar_gz(files))
    if not bundle:
        return Archives(
            digest=own,
            training=training,
            functions=_written(folder / own / "functions.zip", lambda: zip_file(files)),
        )
    site = dependencies(root, folder)
    functions = folder / f"{own}-{site.name}" / "functions.zip"
    return Archives(
        digest=own, training=training, functions=_written(functions, lambda: _with_dependencies(files, site))
    )


def _with_dependencies(files: Mapping[str, bytes], site: Path) -> bytes:
    everything = {
        path.relative_to(site).as_posix(): path.read_bytes()
        for path in site.rglob("*")
        if path.is_file() and not _hidden(path.relative_to(site))
    } | dict(files)
    size = sum(map(len, everything.values()))
    if size > MAX_UNZIPPED_BYTES:
        raise CodeError(
            f"the functions' archive holds {size / 1024**2:.0f} MB, "
            f"Lambda takes {MAX_UNZIPPED_BYTES / 1024**2:.0f}; remove packages "
            "from the extra `lambda` in pyproject.toml"
        )
    return zip_file(everything, zipfile.ZIP_DEFLATED)


def dependencies(root: Path = ROOT, folder: Path = BUILD) -> Path:
    """Folder with the packages of the extra ``lambda``, for Lambda's system and Python, as uv.lock has them.

    Raises:
        CodeError: uv is missing or failed; the message carries what it said.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = sorted(project["optional-dependencies"]["lambda"])
    locked = _uv(
        *("export", "--frozen", "--no-default-groups", "--extra", "lambda", "--no-emit-project"),
        *("--no-hashes", "--no-header", "--no-annotate"),
        root=root,
    )
    key = "\n".join([LAMBDA_PYTHON, LAMBDA_PLATFORM, *wanted, locked])
    target = folder / f"packages-{hashlib.sha256(key.encode()).hexdigest()[:20]}"
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        constraints = Path(work, "constraints.txt")
        constraints.write_text(locked, encoding="utf-8")
        _uv(
            *("pip", "install", "--quiet", "--only-binary", ":all:", "--constraint", str(constraints)),
            *("--python-platform", LAMBDA_PLATFORM, "--python-version", LAMBDA_PYTHON),
            *("--target", str(Path(work, "site")), *wanted),
            root=root,
        )
        # Another process may have finished first; its packages are the same.
        with contextlib.suppress(OSError):
            Path(work, "site").replace(target)
    return target


def _uv(*arguments: str, root: Path) -> str:
    beside = Path(sysconfig.get_path("scripts"), "uv")
    uv = str(beside) if beside.is_file() else shutil.which("uv")
    if uv is None:
        raise CodeError("uv was not found; install it, or set upkeep:lambdaDependencies to preinstalled")
    try:
        done = subprocess.run(
            [uv, *arguments],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=_UV_TIMEOUT_SECONDS,
            check=False,
            env=os.environ | {"UV_PYTHON": sys.executable},
        )
    except subprocess.TimeoutExpired as error:
        raise CodeError(f"uv {arguments[0]} took longer than {_UV_TIMEOUT_SECONDS} seconds") from error
    if done.returncode:
        raise CodeError(f"uv {' '.join(arguments[:2])} failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def _written(path: Path, content: Callable[[], bytes]) -> Path:
    """The file, made by the function unless it is there; never seen half written."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as temporary:
            temporary.write(content())
        Path(temporary.name).replace(path)
    return path


@dataclass(frozen=True, kw_only=True)
class TrainingCodeArgs:
    """What `TrainingCode` needs.

    Attributes:
        bucket: The artifacts bucket.
        archives: The built files.
    """

    bucket: pulumi.Input[str]
    archives: Archives


class TrainingCode(pulumi.ComponentResource):
    """The code archive of the containers, in the artifacts bucket under its digest."""

    key: str

    def __init__(self, name: str, args: TrainingCodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:training:TrainingCode", name, {}, opts)
        self.key = f"code/{args.archives.digest}/code.tar.gz"
        self.object = aws.s3.BucketObjectv2(
            f"{name}-archive",
            bucket=args.bucket,
            key=self.key,
            source=pulumi.FileAsset(str(args.archives.training)),
            content_type="application/gzip",
            # An execution that runs while the code changes still trains with the old one; and what an older
            # model came from stays known.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        self.register_outputs({"key": self.key})
