"""One training job: read, split, fit, compare with the champion, store."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.spec import ModelSpec, SpecError, parse
from training import artifact, bundle, estimators, evaluate, leakage, reading, reference, splits
from training.artifact import Model
from training.errors import ArtifactError, TrainingError
from training.features import FeatureEncoder
from training.sample import build_sample
from training.settings import Settings

EVALUATION, SAMPLE = "evaluation.json", "sample.json"
SCHEMA = 1


@dataclass
class _Clock:
    """Seconds per phase, for the evaluation."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 3)


@dataclass(frozen=True)
class _Champion:
    """The serving model, or why there is nothing to compare with."""

    model: Model | None = None
    note: str = ""


def run(settings: Settings) -> dict[str, Any]:
    """Train and evaluate; write the model directory and the output directory.

    Returns:
        What was written as ``evaluation.json``.

    Raises:
        TrainingError: Data, spec or settings that cannot be trained with.
    """
    clock = _Clock()
    with clock.phase("read"):
        spec = read_spec(settings)
        found = reading.read(settings.data, spec)
        table = found.since(splits.window_start(found.times, spec.training))
        dropped = f" (duplicate rows dropped: {table.duplicates:,})" if table.duplicates else ""
        evaluate.check_labels(table.labels, spec, f"train with{dropped}")
    with clock.phase("champion"):
        champion = _load_champion(settings.champion)
    with clock.phase("fit"):
        known = champion.model.fitted_until if champion.model else None
        split = splits.split(table.times, spec.training, known)
        challenger, fitted = _fit(settings, spec, table, split.start)
    with clock.phase("evaluate"):
        labels = table.labels[split.start :]
        evaluate.check_labels(labels, spec, "evaluate on")
        held = table.frame.iloc[split.start :]
        matrix = challenger.encoder.encode_frame(held)
        scores = challenger.scores(matrix)
        challenger_metrics = evaluate.measure(spec.task, labels, scores, challenger.classes)
        note = (
            champion.note
            or split.note
            or evaluate.too_one_sided(labels, spec)
            or leakage.find(matrix, labels, spec)
        )
        champion_metrics, note = (None, note) if note else _score_champion(champion.model, spec, held, labels)
    with clock.phase("store"):
        passport = {
            **challenger.passport,
            "code_digest": bundle.copy_code(settings.model_dir / "code"),
        }
        challenger = Model(spec, challenger.encoder, challenger.estimator, passport)
        sample = build_sample(challenger, held)
        highest = scores.max(axis=1) if scores.ndim > 1 else scores
        summary = reference.build(challenger.encoder, fitted, highest)
        artifact.save(settings.model_dir, challenger, {"reference.json": summary, SAMPLE: sample})
    evaluation = {
        "schema": SCHEMA,
        "model": spec.name,
        "run_id": settings.run_id,
        "task": spec.task,
        "metric": spec.gate.metric,
        "rows": {
            "available": len(found),
            "total": len(table),
            "fitted": split.start,
            "holdout": len(labels),
            "duplicates": table.duplicates,
        },
        "files": list(table.files),
        "window": {
            "setting": spec.training.window,
            "from": iso(table.times[0]),
            "to": iso(table.times[-1]),
            "holdout_from": iso(table.times[split.start]),
        },
        "challenger": challenger_metrics,
        "champion": champion_metrics,
        "champion_run_id": champion.model.run_id if champion.model else None,
        "champion_fitted_until": iso(champion.model.fitted_until) if champion.model else None,
        "comparable": not note,
        "note": note,
        "spec_digest": spec.digest(),
        "versions": artifact.versions(),
        "seconds": clock.seconds,
    }
    settings.output_dir.mkdir(parents=True, exist_ok=True)
    artifact.write_json(settings.output_dir / EVALUATION, evaluation)
    artifact.write_json(settings.output_dir / SAMPLE, sample)
    return evaluation


def metric_lines(evaluation: dict[str, Any]) -> list[str]:
    """The lines the job's metric definitions look for, such as ``challenger_roc_auc=0.64;``."""
    return [
        f"{who}_{name}={value:.6g};"
        for who in ("challenger", "champion")
        for name, value in (evaluation[who] or {}).items()
    ]


def read_spec(settings: Settings) -> ModelSpec:
    """Read the spec out of its channel.

    Raises:
        TrainingError: No spec, more than one, a wrong one, or that of another model.
    """
    paths = sorted(p for p in settings.spec.rglob("*.json") if p.is_file())
    if len(paths) != 1:
        raise TrainingError(
            f"the spec channel {settings.spec} holds {len(paths)} JSON files, expected one: "
            f"specs/{settings.model}.json"
        )
    try:
        spec = parse(json.loads(paths[0].read_text(encoding="utf-8")), paths[0].name)
    except (SpecError, ValueError) as error:
        raise TrainingError(str(error)) from error
    if spec.name != settings.model:
        raise TrainingError(
            f"{paths[0].name} declares the model {spec.name!r}, the job is for {settings.model!r}"
        )
    return spec


def iso(moment: np.datetime64) -> str:
    """A time as text, such as 2013-01-31T06:15:00."""
    return str(moment.astype("datetime64[us]").item().isoformat())


def _fit(settings: Settings, spec: ModelSpec, table: reading.Table, start: int) -> tuple[Model, np.ndarray]:
    """The challenger, and the encoded rows it was fitted on."""
    labels = table.labels[:start]
    evaluate.check_labels(labels, spec, "fit on")
    rows = table.frame.iloc[:start]
    encoder = FeatureEncoder.fit(spec, rows)
    matrix = encoder.encode_frame(rows)
    estimator = estimators.fit(estimators.build(spec, encoder.categorical), matrix, labels, spec)
    passport = {
        "model": spec.name,
        "run_id": settings.run_id,
        "task": spec.task,
        "fitted_until": iso(table.times[start - 1]),
        "rows_fitted": start,
        "spec_digest": spec.digest(),
    }
    return Model(spec, encoder, estimator, passport), matrix


def _load_champion(channel: Path | None) -> _Champion:
    if channel is None:
        return _Champion()
    archives = sorted(p for p in channel.rglob("*.tar.gz") if p.is_file())
    if len(archives) != 1:
        return _Champion(note=f"the champion channel holds {len(archives)} model archives, expected one")
    with tempfile.TemporaryDirectory() as folder:
        try:
            return _Champion(artifact.load(artifact.unpack(archives[0], Path(folder))))
        except ArtifactError as error:
            return _Champion(note=f"the champion cannot be loaded: {error}")


def _score_champion(
    champion: Model | None, spec: ModelSpec, held: Any, labels: np.ndarray
) -> tuple[dict[str, float] | None, str]:
    """The champion's metrics on the same rows, or why there are none."""
    if champion is None:
        return None, ""
    missing = [name for name in champion.encoder.names if name not in held.columns]
    if missing:
        return None, f"the champion needs the column {', '.join(missing)}, which the spec no longer has"
    if (champion.spec.task, champion.spec.target) != (spec.task, spec.target):
        return None, (
            f"the champion predicts {champion.spec.target} ({champion.spec.task}), the challenger "
            f"{spec.target} "
            f"({spec.task})"
        )
    try:
        predicted = champion.scores(champion.encoder.encode_frame(held))
    except (TypeError, ValueError) as error:  # a column changed its type, say from number to category
        return None, f"the champion cannot predict these rows: {error}"
    return evaluate.measure(spec.task, labels, predicted, champion.classes), ""
