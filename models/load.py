"""Reads model specs from their folders at deploy time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from models.spec import ModelSpec, SpecError, parse

MODELS_DIR = Path(__file__).parent


def available(root: Path = MODELS_DIR) -> list[str]:
    """Names of the models that have a folder with a ``model.yaml``."""
    return sorted(p.parent.name for p in root.glob("*/model.yaml"))


def load(
    names: Sequence[str], overrides: Mapping[str, Mapping[str, Any]] | None = None, root: Path = MODELS_DIR
) -> dict[str, ModelSpec]:
    """Read the named models, with the environment's overrides laid over their files.

    Args:
        names: Folder names below ``root``.
        overrides: Per model, nested keys that replace those of the file.
        root: Folder of the model folders.

    Raises:
        SpecError: Lists all errors of all the files together.
    """
    overrides = overrides or {}
    errors = [
        f"overrides.{name}: no such model in this stack; models: {', '.join(names) or 'none'}"
        for name in overrides
        if name not in names
    ]
    specs: dict[str, ModelSpec] = {}
    for name in names:
        try:
            specs[name] = _load_one(name, overrides.get(name, {}), root)
        except SpecError as error:
            errors.extend(error.errors)
    if errors:
        raise SpecError(errors)
    return specs


def _load_one(name: str, override: Mapping[str, Any], root: Path) -> ModelSpec:
    path = root / name / "model.yaml"
    source = f"{root.name}/{name}/model.yaml"
    if not path.is_file():
        raise SpecError([f"{source}: no such file; models here: {', '.join(available(root)) or 'none'}"])
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError([f"{source}: not readable as YAML: {' '.join(str(error).split())}"]) from error
    if isinstance(data, Mapping):
        data = _overlay({"name": name, **data}, override)
        if data["name"] != name:
            raise SpecError([f"{source}: name: found {data['name']!r}, expected the folder's name {name!r}"])
    return parse(data, source)


def _overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = (
            _overlay(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


def seed_file(name: str, root: Path = MODELS_DIR) -> Path:
    """The committed sample the first model of a new stack is trained on."""
    return root / name / "seed.csv"
