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
from training.evidence import collect, holdout, importance, latency
from training.evidence.collect import Held, Scored
from training.evidence.holdout import iso
from training.evidence.paired import Difference
from training.features import FeatureEncoder
from training.registry import digests
from training.sample import build_sample
from training.settings import Settings

EVALUATION, SAMPLE = "evaluation.json", "sample.json"
SCHEMA = 2


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


@dataclass(frozen=True)
class _Judged:
    """The two models on the rows held out, and why they cannot be compared; empty when they can."""

    challenger: Scored
    champion: Scored | None
    difference: Difference | None
    leakage: dict[str, Any]
    note: str


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
        champion = _load_champion(settings.champion, settings.champion_passport)
    with clock.phase("fit"):
        known = champion.model.fitted_until if champion.model else None
        split = splits.split(table.times, spec.training, known)
        rows = Held(table.frame, table.times, table.labels, split.start)
        challenger, matrix = _fit(settings, spec, rows, champion.model)
    with clock.phase("evaluate"):
        judged = _judge(spec, rows, challenger, champion, split.note)
    with clock.phase("store"):
        bundle.copy_code(settings.model_dir / "code")
        sample = build_sample(challenger, rows.held_frame)
        predicted = judged.challenger.predicted
        highest = predicted.max(axis=1) if predicted.ndim > 1 else predicted
        summary = reference.build(challenger.encoder, matrix, highest)
        documents = {"reference.json": summary, SAMPLE: sample}
        saved = artifact.save(settings.model_dir, challenger, documents, finished=False)
    with clock.phase("evidence"):
        evidence = _evidence(spec, rows, judged, sample["instances"])
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
            "holdout": len(rows.held_labels),
            "duplicates": table.duplicates,
        },
        "files": list(table.files),
        "window": {
            "setting": spec.training.window,
            "from": iso(table.times[0]),
            "to": iso(table.times[-1]),
            "holdout_from": iso(table.times[split.start]),
        },
        "challenger": _metrics(spec, rows, judged.challenger),
        "champion": _metrics(spec, rows, judged.champion) if judged.champion else None,
        "champion_run_id": champion.model.run_id if champion.model else None,
        "champion_fitted_until": iso(champion.model.fitted_until) if champion.model else None,
        "comparable": not judged.note,
        "note": judged.note,
        **evidence,
        "holdout": holdout.describe(table.times[split.start :]),
        "artifact_bytes": _bytes(settings.model_dir),
        "digests": dict(saved.digests),
        "champion_digests": _digests_of(champion.model),
        "passport_sha256": saved.passport_sha256,
        "model_digest": saved.model_digest,
        "spec_digest": spec.digest(),
        "versions": artifact.versions(),
        "seconds": clock.seconds,
    }
    settings.output_dir.mkdir(parents=True, exist_ok=True)
    artifact.write_json(settings.output_dir / EVALUATION, evaluation)
    artifact.write_json(settings.output_dir / SAMPLE, sample)
    artifact.finish(settings.model_dir)
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


def _fit(settings: Settings, spec: ModelSpec, rows: Held, champion: Model | None) -> tuple[Model, np.ndarray]:
    """The challenger, and the encoded rows it was fitted on."""
    labels, frame = rows.labels[: rows.start], rows.frame.iloc[: rows.start]
    evaluate.check_labels(labels, spec, "fit on")
    encoder = FeatureEncoder.fit(spec, frame)
    matrix = encoder.encode_frame(frame)
    unfitted = estimators.build(spec, encoder.categorical)
    estimator = estimators.fit(unfitted, matrix, labels, spec, kept=settings.checkpoints)
    passport = {
        "model": spec.name,
        "run_id": settings.run_id,
        "task": spec.task,
        "champion_run_id": champion.run_id if champion else "",
        "fitted_until": iso(rows.times[rows.start - 1]),
        "rows_fitted": rows.start,
    }
    return Model(spec, encoder, estimator, passport, collect.sample_of_fitted(spec, rows)), matrix


def _judge(spec: ModelSpec, rows: Held, challenger: Model, champion: _Champion, split_note: str) -> _Judged:
    """Score both models on the rows held out, if these tell which one is better."""
    labels, frame = rows.held_labels, rows.held_frame
    evaluate.check_labels(labels, spec, "evaluate on")
    matrix = challenger.encoder.encode_frame(frame)
    ours = Scored(challenger, challenger.scores(matrix))
    note = (
        champion.note
        or split_note
        or evaluate.too_one_sided(labels, spec)
        or leakage.find(matrix, labels, spec)
    )
    theirs, note = (None, note) if note else _score_champion(champion.model, spec, frame)
    repeated = collect.leakage(rows, challenger, theirs.model if theirs else None)
    note = note or repeated["note"]
    if note or theirs is None:
        return _Judged(ours, None, None, repeated, note)
    difference, note = collect.compare(spec, rows, ours, theirs)
    return _Judged(ours, None if note else theirs, None if note else difference, repeated, note)


def _evidence(
    spec: ModelSpec, rows: Held, judged: _Judged, instances: list[dict[str, Any]]
) -> dict[str, Any]:
    """What the gate and the report look at besides the metrics."""
    model, metric, seed = judged.challenger.model, spec.gate.metric, spec.training.seed
    estimators.single_threaded(model.estimator)
    matrix = model.encoder.encode_frame(rows.held_frame)
    paired = None
    if judged.difference and judged.champion:
        longer = collect.coarser(spec, rows, judged.challenger, judged.champion)
        paired = collect.paired_document(spec, judged.difference, longer)
    return {
        "paired": paired,
        **collect.documents(spec, rows, judged.challenger, judged.champion),
        "importance": importance.build(model, matrix, rows.held_labels, metric, seed=seed),
        "latency": latency.measure(model, instances),
        "leakage": judged.leakage,
    }


def _metrics(spec: ModelSpec, rows: Held, scored: Scored) -> dict[str, float]:
    return evaluate.measure(spec.task, rows.held_labels, scored.predicted, scored.model.classes)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _digests_of(champion: Model | None) -> dict[str, str] | None:
    """What decided the champion, to say what changed since."""
    if champion is None:
        return None
    return {**digests.known(champion.passport.get("digests")), "run_id": champion.run_id}


def _load_champion(channel: Path | None, passport_sha256: str) -> _Champion:
    if channel is None:
        return _Champion()
    archives = sorted(p for p in channel.rglob("*.tar.gz") if p.is_file())
    if len(archives) != 1:
        return _Champion(note=f"the champion channel holds {len(archives)} model archives, expected one")
    with tempfile.TemporaryDirectory() as folder:
        try:
            return _Champion(artifact.load(artifact.unpack(archives[0], Path(folder)), passport_sha256))
        except ArtifactError as error:
            return _Champion(note=f"the champion cannot be loaded: {error}")


def _score_champion(champion: Model | None, spec: ModelSpec, held: Any) -> tuple[Scored | None, str]:
    """The champion's answers on the same rows, or why there are none."""
    if champion is None:
        return None, ""
    missing = [name for name in champion.encoder.names if name not in held.columns]
    if missing:
        return None, f"the champion needs the column {', '.join(missing)}, which the spec no longer has"
    if (champion.spec.task, champion.spec.target) != (spec.task, spec.target):
        return None, (
            f"the champion predicts {champion.spec.target} ({champion.spec.task}), the challenger "
            f"{spec.target} ({spec.task})"
        )
    try:
        return Scored(champion, champion.scores(champion.encoder.encode_frame(held))), ""
    except (TypeError, ValueError) as error:  # a column changed its type, say from number to category
        return None, f"the champion cannot predict these rows: {error}"
