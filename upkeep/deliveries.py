"""What is pushed together: files and folders, and the manifest that says when a delivery is complete."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upkeep import data
from upkeep.data import Upload
from upkeep.errors import UpkeepError
from upkeep.ledger import OperatorLedger
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients

MANIFEST = "_MANIFEST.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]{0,99}")
_DIGITS = 8


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Files that are pushed together.

    Attributes:
        uploads: The files.
        folder: Below `incoming/<model>/`; empty for files directly in it.
        manifest_key: Where the manifest goes once all files are there; empty for none.
    """

    uploads: tuple[Upload, ...]
    folder: str = ""
    manifest_key: str = ""

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest's content: nothing is trained on before every file in it has been looked at."""
        return {
            "files": [
                {"name": upload.name, "sha256": upload.sha256, "size": upload.size} for upload in self.uploads
            ]
        }


def plan(
    model: ModelOutputs,
    paths: Iterable[Path],
    ledger: OperatorLedger,
    *,
    manifest: bool = False,
    name: str | None = None,
) -> Delivery:
    """What pushing these files and folders means, before anything is sent.

    Args:
        model: Where to.
        paths: Files, and folders whose files are pushed with their place in the folder.
        ledger: Knows which contents were accepted before.
        manifest: Whether a manifest completes the delivery.
        name: The delivery's folder; by default the pushed folder's name, with a manifest the digest of the
            contents behind it, so that the same delivery twice is one.

    Raises:
        UpkeepError: A file does not exist, two have the same name, or there is none; all problems at once.
    """
    given = list(paths)
    found, problems = _files(given)
    names = [relative for _, relative in found]
    problems += [
        f"{one}: named twice; they would overwrite each other"
        for one in sorted({n for n in names if names.count(n) > 1})
    ]
    if manifest and MANIFEST in names:
        problems.append(f"{MANIFEST}: is written by --manifest; leave out one of the two")
    if name is not None and not _NAME.fullmatch(name):
        problems.append(f"--delivery: found {name!r}, expected letters, digits, dots, dashes, underscores")
    if not found and not problems:
        problems.append("no file in " + ", ".join(map(str, given)))
    if problems:
        raise UpkeepError("Nothing was pushed. " + "; ".join(problems) + ".")
    sums = [data.digest(path) for path, _ in found]
    folder = name or _folder(given, names, sums, manifest=manifest)
    bucket, prefix = data.place(model)
    above = f"{prefix}{folder}/" if folder else prefix
    known = ledger.contents(model.name, sums)
    uploads = [
        Upload(
            path=path,
            bucket=bucket,
            key=above + relative,
            name=relative,
            size=path.stat().st_size,
            sha256=sha256,
            known=sha256 in known,
            delivery=folder,
        )
        for (path, relative), sha256 in zip(found, sums, strict=True)
    ]
    return Delivery(
        uploads=tuple(uploads), folder=folder, manifest_key=f"{above}{MANIFEST}" if manifest else ""
    )


def complete(context: Clients, delivery: Delivery) -> None:
    """Upload the manifest, if the delivery has one; after all of its files."""
    if delivery.manifest_key:
        context.client("s3").put_object(
            Bucket=delivery.uploads[0].bucket,
            Key=delivery.manifest_key,
            Body=data.as_body(delivery.manifest),
            ContentType="application/json",
        )


def _files(given: Sequence[Path]) -> tuple[list[tuple[Path, str]], list[str]]:
    """The files with their names in the delivery, and what is wrong; hidden and _names are no data."""
    found: list[tuple[Path, str]] = []
    problems: list[str] = []
    for path in given:
        if path.is_dir():
            inside = sorted(item for item in path.rglob("*") if item.is_file())
            named = [(item, item.relative_to(path)) for item in inside]
            found += [
                (item, relative.as_posix())
                for item, relative in named
                if not any(part.startswith((".", "_")) for part in relative.parts)
            ]
        elif path.is_file():
            found.append((path, path.name))
        else:
            problems.append(f"{path}: {'is no file' if path.exists() else 'no such file'}")
    return found, problems


def _folder(given: Sequence[Path], names: Sequence[str], sums: Sequence[str], *, manifest: bool) -> str:
    """The folder of a delivery that nobody named."""
    only = given[0].resolve().name if len(given) == 1 and given[0].is_dir() else ""
    safe = re.sub(r"[^A-Za-z0-9._=-]+", "-", only).strip("-.")
    if not manifest:
        return safe
    text = "\n".join(f"{one} {sha256}" for one, sha256 in sorted(zip(names, sums, strict=True)))
    identity = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return f"{safe or 'delivery'}-{identity}"
