"""What decides a model, in four digests; their differences make the next version number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from models.spec import ModelSpec

NAMES = ("contract", "training", "code", "spec")
# Where and for how long a job runs changes nothing of its result.
_RESOURCES = frozenset({"instance_type", "volume_size_gb", "max_runtime_seconds", "spot"})


def of(spec: ModelSpec, code: str) -> dict[str, str]:
    """The digests of a training.

    Args:
        spec: What was trained.
        code: Digest of the code that trained and that serves.

    Returns:
        ``contract``: the interface, which is task, target, columns and the rules of data files.
        ``training``: estimator, hyperparameters, seed, window and holdout. ``code``. ``spec``: all of it.
    """
    return {
        "contract": spec.contract_version,
        "training": training(spec),
        "code": code,
        "spec": spec.digest(),
    }


def training(spec: ModelSpec) -> str:
    """Digest of all in ``training`` that decides the fitted model, in hexadecimal."""
    data = {name: value for name, value in spec.to_dict()["training"].items() if name not in _RESOURCES}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def known(found: object) -> dict[str, str]:
    """The digests in plain data that somebody else wrote; '' for those that are not there."""
    values: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    return {name: str(values.get(name) or "") for name in NAMES}
