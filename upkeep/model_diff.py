"""What differs between two versions of a model: data, spec, code, metrics, what matters to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.versions import diff as diff_data
from upkeep import runs, versions
from upkeep.model_details import Details
from upkeep.runs import Clients

PARTS = ("code", "spec", "training", "contract")
_TOP = 10


@dataclass(frozen=True, kw_only=True)
class Change:
    """One value that differs; None stands for one that is not there."""

    name: str
    before: Any
    after: Any

    def to_json(self) -> dict[str, Any]:
        """The change as `--json` prints it."""
        return {"name": self.name, "before": self.before, "after": self.after}


@dataclass(frozen=True, kw_only=True)
class DataChange:
    """How the data of two versions differs.

    Attributes:
        rows: Rows of the two; None where that is not recorded.
        added: Objects only the second reads.
        removed: Objects only the first reads.
        known: Whether both lists of objects could be read.
    """

    rows: tuple[int | None, int | None]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    known: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether both read the same."""
        return self.known and not (self.added or self.removed)


@dataclass(frozen=True, kw_only=True)
class ModelDiff:
    """What differs between two versions.

    Attributes:
        first: The one compared from.
        second: The one compared to.
        data: Their data.
        features: Columns that were added, removed or declared otherwise.
        hyperparameters: Of the estimator.
        spec: All other keys of the spec.
        digests: Parts whose digests differ.
        metrics: All metrics of both, also those that are the same.
        importance: The features that matter most, in their order in either.
        notes: What could not be compared.
    """

    first: Details
    second: Details
    data: DataChange
    features: tuple[Change, ...]
    hyperparameters: tuple[Change, ...]
    spec: tuple[Change, ...]
    digests: tuple[Change, ...]
    metrics: tuple[Change, ...]
    importance: tuple[tuple[str, ...], tuple[str, ...]]
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing that goes into a model differs."""
        parts = (self.features, self.hyperparameters, self.spec, self.digests)
        return self.data.is_empty and not any(parts)

    def to_json(self) -> dict[str, Any]:
        """The difference as `--json` prints it."""
        return {
            "a": self.first.version.to_json(),
            "b": self.second.version.to_json(),
            "data": {
                "rows": list(self.data.rows),
                "added": list(self.data.added),
                "removed": list(self.data.removed),
                "known": self.data.known,
            },
            "features": [change.to_json() for change in self.features],
            "hyperparameters": [change.to_json() for change in self.hyperparameters],
            "spec": [change.to_json() for change in self.spec],
            "digests": [change.to_json() for change in self.digests],
            "metrics": [change.to_json() for change in self.metrics],
            "importance": {"a": list(self.importance[0]), "b": list(self.importance[1])},
            "notes": list(self.notes),
        }


def compare(context: Clients, first: Details, second: Details) -> ModelDiff:
    """Compare two versions."""
    features, hyperparameters, spec = _spec_changes(first, second)
    return ModelDiff(
        first=first,
        second=second,
        data=_data(context, first, second),
        features=features,
        hyperparameters=hyperparameters,
        spec=spec,
        digests=tuple(
            Change(name=part, before=first.digest(part) or None, after=second.digest(part) or None)
            for part in PARTS
            if first.digest(part) != second.digest(part)
        ),
        metrics=_all(first.metrics(), second.metrics()),
        importance=(tuple(first.importance()[:_TOP]), tuple(second.importance()[:_TOP])),
        notes=tuple(f"{one.version.label}: {said}" for one in (first, second) for said in one.missing),
    )


def _spec_changes(
    first: Details, second: Details
) -> tuple[tuple[Change, ...], tuple[Change, ...], tuple[Change, ...]]:
    """Changes of features, of hyperparameters, and of everything else in the spec."""
    if first.spec is None or second.spec is None:
        return (), (), ()
    a, b = first.spec.to_dict(), second.spec.to_dict()
    features = changes(a.pop("features"), b.pop("features"))
    hyperparameters = changes(a["training"].pop("hyperparameters"), b["training"].pop("hyperparameters"))
    return features, hyperparameters, changes(flat(a), flat(b))


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """The keys whose values differ, in the order in which they appear."""
    return tuple(one for one in _all(before, after) if one.before != one.after)


def flat(data: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested keys as one level: `training.seed`."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = list(value) if isinstance(value, tuple) else value
    return found


def _all(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    names = dict.fromkeys([*before, *after])
    return tuple(Change(name=name, before=before.get(name), after=after.get(name)) for name in names)


def _data(context: Clients, first: Details, second: Details) -> DataChange:
    rows = (_rows(first), _rows(second))
    documents = [
        versions.document(context, one.version.model, version)
        if (version := one.fact("data_version"))
        else None
        for one in (first, second)
    ]
    if documents[0] is not None and documents[1] is not None:
        found = diff_data(documents[0], documents[1])
        return DataChange(
            rows=(int(documents[0]["rows"]), int(documents[1]["rows"])),
            added=tuple(str(one["key"]) for one in found.added),
            removed=tuple(str(one["key"]) for one in found.removed),
        )
    # Without both records the manifests tell which objects were read, though not where they came from.
    keys = [_manifest(context, one) for one in (first, second)]
    if keys[0] is None or keys[1] is None:
        return DataChange(rows=rows, known=False)
    a, b = set(keys[0]), set(keys[1])
    return DataChange(rows=rows, added=tuple(sorted(b - a)), removed=tuple(sorted(a - b)))


def _manifest(context: Clients, one: Details) -> list[str] | None:
    uri = one.fact("manifest_uri")
    return (runs.read_manifest(context, uri) or None) if uri else None


def _rows(one: Details) -> int | None:
    found = ((one.evaluation or {}).get("rows") or {}).get("total")
    return int(found) if isinstance(found, int | float) else one.version.rows
