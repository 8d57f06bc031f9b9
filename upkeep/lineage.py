"""Which runs were trained on an accepted object, and which of their models serve."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from training.ledger.records import RunRecord
from upkeep import runs, serving
from upkeep.ledger import OperatorLedger
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients
from upkeep.serving import Package, Serving

_PARALLEL = 8


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A run that was trained on some objects.

    Attributes:
        run_id: The run.
        data_version: What it read.
        state: Of the run, as the ledger has it.
        keys: Those of the objects it read.
        version: Of the model package it made; 0 for the seed's model, None for none.
        approval: Of that package.
        serves: Whether the endpoint serves its model now.
    """

    run_id: str
    data_version: str
    state: str
    keys: tuple[str, ...]
    version: int | None = None
    approval: str = ""
    serves: bool = False

    def to_json(self) -> dict[str, Any]:
        """The run as `--json` prints it."""
        return {
            "run": self.run_id,
            "data_version": self.data_version,
            "state": self.state,
            "objects": list(self.keys),
            "model_version": self.version,
            "approval": self.approval or None,
            "serves": self.serves,
        }


def ancestors(ledger: OperatorLedger, model: str, keys: Iterable[str]) -> set[str]:
    """The objects, and what each of them was before rows were forgotten."""
    before: dict[str, list[str]] = {}
    for record in ledger.replacements(model):
        if record.new_key:
            before.setdefault(record.new_key, []).append(record.key)
    found: set[str] = set()
    todo = list(keys)
    while todo:
        key = todo.pop()
        if key not in found:
            found.add(key)
            todo += before.get(key, [])
    return found


def trained_on(
    context: Clients, ledger: OperatorLedger, model: ModelOutputs, keys: Collection[str]
) -> list[Trained]:
    """The runs whose manifests list any of some objects, newest first, with what became of their models."""
    if not keys:
        return []
    records = ledger.runs(model.name)
    uris = list(dict.fromkeys(record.manifest_uri for record in records if record.manifest_uri))
    context.client("s3")  # made here: sessions are not for several threads
    with ThreadPoolExecutor(_PARALLEL) as pool:
        listed = dict(zip(uris, pool.map(lambda uri: runs.read_manifest(context, uri), uris), strict=True))
    read = [(record, sorted(set(listed.get(record.manifest_uri, [])) & set(keys))) for record in records]
    meant = [(record, found) for record, found in read if found]
    if not meant:
        return []
    packages = serving.list_packages(context, model)
    now = serving.read_serving(context, model, packages)
    made = {package.run_id: package for package in packages if package.run_id}
    return [_trained(record, found, made.get(record.run_id), now) for record, found in meant]


def seed_serves(context: Clients, model: ModelOutputs) -> bool:
    """Whether the endpoint still serves the first model, which was trained on the seed."""
    return serving.read_serving(context, model).version == serving.SEED_VERSION


def _trained(record: RunRecord, keys: list[str], package: Package | None, now: Serving) -> Trained:
    return Trained(
        run_id=record.run_id,
        data_version=record.data_version,
        state=record.state,
        keys=tuple(keys),
        version=package.version if package else None,
        approval=package.approval if package else "",
        serves=bool(now.run_id) and now.run_id == record.run_id,
    )
