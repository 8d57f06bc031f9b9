"""How often the gate is wrong: thousands of retrainings whose truth is known, through the code that decides.

    .venv/bin/python benchmarks/gate.py --json figures.json

Labels and scores are made up, so that it is known whether the challenger is better; the rows of an hour share
a part of each model's error, as they do where the weather decides. Everything else is what a release goes
through: ``training.evidence.paired`` measures, ``training.gate.decide`` decides, and
``training.ledger.holdouts`` counts how often rows were used.

Six questions:

equal      Challenger and champion are equally good. How often is the challenger promoted? At most in
           1 - confidence of the retrainings.
few blocks The same on so few blocks that the standard error is hardly known.
rows       The same, with every row counted as independent evidence. Shows what the blocks are for.
at limit   The challenger is better by exactly the gate's minimum gain. At most 1 - confidence again.
better     The challenger is better by the difference stated. How often is it promoted (the power)?
repeated   Twenty equal challengers, one after the other, on the same rows. How often is any of them promoted?
           With each decision taken as the first, and as the gate does it.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from models.sections import Block
from models.spec import LOWER_IS_BETTER, Gate, ModelSpec, Task, parse
from training.evidence import blocks as spans
from training.evidence import collect, holdout, paired, weighted
from training.evidence.weighted import Answers
from training.gate.decide import Decision, decide
from training.ledger.holdouts import shares_used

CONFIDENCE = 0.95
POWER = 0.9
RETRAININGS = 1000
REPEATS = 20
# So few long spans, as the days of a young model's holdout, must not make the gate easier.
FEW_BLOCKS, FEW_ROWS = (6, 8, 12, 20, 30), 60
# Blocks of single rows take long, and only show what the gate does not do.
ILLUSTRATION = 250
START = np.datetime64("2024-01-01T00:00:00", "us")
# Standard deviation of a model's error, and the part of it that all rows of an hour share.
ERROR, SHARED = 1.0, 0.8


@dataclass(frozen=True)
class Case:
    """One metric, and what its retrainings look like.

    Attributes:
        metric: The gate's.
        task: The model's.
        better: The challenger's error where it is better, as a part of the champion's.
        hours: Blocks of a holdout.
        rows: Mean rows of an hour; they differ by hour.
    """

    metric: str
    task: Task
    better: float
    hours: int = 150
    rows: int = 22


CASES = (
    Case("roc_auc", "binary", 0.55),
    Case("log_loss", "binary", 0.6),
    Case("rmse", "regression", 0.7),
)


@dataclass(frozen=True)
class Rows:
    """Held-out rows: their times, labels, and what is to be known to predict them."""

    times: np.ndarray
    labels: np.ndarray
    signal: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--retrainings", type=int, default=RETRAININGS)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="challengers on one holdout")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    started = time.perf_counter()
    with ProcessPoolExecutor(options.processes) as pool:
        run = partial(pool.map, chunksize=5)
        found = []
        for row in rows_of(options.retrainings, options.repeats, run):
            found.append(row)
            show(row, head=len(found) == 1)
    if options.json:
        report = {"confidence": CONFIDENCE, "power": POWER, "rows": found}
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(f"{time.perf_counter() - started:.0f} s")


def rows_of(retrainings: int, repeats: int, run: Callable[..., Any] = map) -> Iterator[dict[str, Any]]:
    """Answer every question for every metric.

    Args:
        retrainings: How many each answer comes from.
        repeats: How many challengers share a holdout in the last question.
        run: ``map``, or that of a pool.
    """
    for case in CASES:
        gain = true_gain(case)
        plain = Gate(metric=case.metric, confidence=CONFIDENCE)
        by_row = Gate(metric=case.metric, confidence=CONFIDENCE, block="row")
        at_limit = Gate(metric=case.metric, confidence=CONFIDENCE, minimum_gain=gain)
        for question, gate, error, truth, tries in (
            ("equal", plain, 1.0, 0.0, retrainings),
            ("rows", by_row, 1.0, 0.0, min(retrainings, ILLUSTRATION)),
            ("at limit", at_limit, case.better, gain, retrainings),
            ("better", plain, case.better, gain, retrainings),
        ):
            promoted = sum(run(partial(retrain, case, gate, error), range(tries)))
            yield answer(case, question, truth, promoted, tries)
        for count in FEW_BLOCKS:
            few = replace(case, hours=count, rows=FEW_ROWS)
            promoted = sum(run(partial(retrain, few, plain, 1.0), range(retrainings)))
            yield answer(case, f"equal, {count} blocks", 0.0, promoted, retrainings)
        often = Gate(metric=case.metric, confidence=CONFIDENCE, max_holdout_uses=repeats)
        for question, counted in (("repeated, each as the first", False), ("repeated", True)):
            promoted = sum(run(partial(repeat, case, often, repeats, counted), range(retrainings)))
            yield answer(case, question, 0.0, promoted, retrainings)


def retrain(case: Case, gate: Gate, error: float, seed: int) -> bool:
    """One retraining: made up, measured, decided."""
    random = np.random.default_rng([seed, len(case.metric)])
    rows = draw(case, random)
    champion, challenger = (predict(case, rows, random, part) for part in (1.0, error))
    return judge(case, gate, rows, challenger, champion, seed=seed).promote


def repeat(case: Case, gate: Gate, challengers: int, counted: bool, seed: int) -> bool:
    """Equal challengers on the same rows, until one is promoted."""
    random = np.random.default_rng([seed, challengers])
    rows = draw(case, random)
    days = holdout.describe(rows.times)["days"]
    champion = predict(case, rows, random, 1.0)
    for number in range(challengers):
        uses = shares_used(days, [days] * number) if counted else 0.0
        challenger = predict(case, rows, random, 1.0)
        if judge(case, gate, rows, challenger, champion, uses, seed).promote:
            return True
    return False


def judge(
    case: Case,
    gate: Gate,
    rows: Rows,
    challenger: Answers,
    champion: Answers,
    uses: float = 0.0,
    seed: int = 0,
) -> Decision:
    """Measure and decide, as the job and the judge do."""
    spec = declare(case.task, gate.metric, gate.block)
    blocks = spans.number(rows.times, gate.block)
    found = paired.compare(case.task, gate.metric, rows.labels, challenger, champion, blocks, seed=seed)
    evaluation = {
        "rows": {"holdout": len(rows.labels)},
        "challenger": {gate.metric: found.challenger},
        "champion": {gate.metric: found.champion},
        "champion_run_id": "champion",
        "comparable": found.effective_blocks >= collect.LEAST_BLOCKS,
        "note": "too few blocks",
        "paired": collect.paired_document(spec, found),
        # Nothing is simulated of what has no chance in it.
        "latency": {"p99_milliseconds": 1.0},
        "artifact_bytes": 1,
    }
    return decide(evaluation, gate, uses)


@cache
def declare(task: Task, metric: str, block: Block) -> ModelSpec:
    """A spec with the metric and the block."""
    return parse(
        {
            "name": "made-up",
            "task": task,
            "target": "label",
            "time_column": "at",
            "features": {"x": {"type": "number"}},
            "gate": {"metric": metric, "block": block},
        }
    )


def draw(case: Case, random: np.random.Generator, hours: int | None = None) -> Rows:
    """Hours with different numbers of rows, and different shares of label 1."""
    hours = hours or case.hours
    sizes = 1 + random.poisson(random.gamma(2.0, (case.rows - 1) / 2, hours))
    hour = np.repeat(np.arange(hours), sizes)
    times = START + hour * np.timedelta64(3600, "s")
    signal = 0.5 * random.normal(size=hours)[hour] + random.normal(size=len(hour))
    if case.task == "regression":
        return Rows(times, signal, signal)
    labels = (random.random(len(hour)) < 1 / (1 + np.exp(1.3 - 1.2 * signal))).astype(np.float64)
    return Rows(times, labels, signal)


def predict(case: Case, rows: Rows, random: np.random.Generator, part: float) -> Answers:
    """What a model answers: the signal, with an error that rows of one hour share in part."""
    _, hour = np.unique(rows.times, return_inverse=True)
    shared = random.normal(size=hour[-1] + 1)[hour]
    own = random.normal(size=len(hour))
    error = part * ERROR * (math.sqrt(SHARED) * shared + math.sqrt(1 - SHARED) * own)
    if case.task == "regression":
        return Answers(rows.signal + error)
    return Answers(1 / (1 + np.exp(1.3 - 1.2 * (rows.signal + error))))


def true_gain(case: Case, hours: int = 40_000) -> float:
    """By how much the better challenger is better, from a holdout of some nine hundred thousand rows."""
    random = np.random.default_rng(0)
    rows = draw(case, random, hours)
    blocks = spans.number(rows.times, "hour")
    champion, challenger = (
        weighted.prepare(
            case.task, case.metric, rows.labels, predict(case, rows, random, part), blocks
        ).plain(blocks)
        for part in (1.0, case.better)
    )
    return champion - challenger if case.metric in LOWER_IS_BETTER else challenger - champion


def answer(case: Case, question: str, truth: float, promoted: int, retrainings: int) -> dict[str, Any]:
    """One line of the table; the interval is Clopper and Pearson's of 95 %."""
    low, high = interval(promoted, retrainings)
    asked = {"better": (">=", POWER), "rows": ("", None), "repeated, each as the first": ("", None)}
    relation, limit = asked.get(question, ("<=", 1 - CONFIDENCE))
    share = promoted / retrainings
    held = None if limit is None else share >= limit if relation == ">=" else share <= limit
    return {
        "metric": case.metric,
        "question": question,
        "true_gain": truth,
        "retrainings": retrainings,
        "promoted": promoted,
        "share": share,
        "low": low,
        "high": high,
        "asked": "" if limit is None else f"{relation} {limit:.2f}",
        "held": held,
    }


def interval(hits: int, tries: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share, https://doi.org/10.2307/2331986."""
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, tries - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, tries - hits)) if hits < tries else 1.0
    return low, high


def show(row: dict[str, Any], *, head: bool) -> None:
    if head:
        print("| metric | question | true gain | promoted | of | 95 % interval | asked |")
        print("|---|---|---:|---:|---:|---:|---|")
    verdict = "" if row["held"] is None else " yes" if row["held"] else " NO"
    print(
        f"| {row['metric']} | {row['question']} | {row['true_gain']:.4f} | {row['share']:.1%} | "
        f"{row['retrainings']:,} | {row['low']:.1%} - {row['high']:.1%} | {row['asked']}{verdict} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
