"""How often an experiment is wrong when it is looked at after every outcome, and how long it takes.

    .venv/bin/python benchmarks/experiment.py --runs 1000
    .venv/bin/python benchmarks/experiment.py --runs 1000 --json figures.json

First two equal models, 10,000 outcomes each time, looked at after every one of them: the share of
experiments that ever say "better" or "worse". It must stay below alpha. Beside it a t-test repeated in the
same way, which is what somebody does who reads a dashboard every day and stops when p < 0.05. Then models
that do differ: how many outcomes it takes to say so, beside the number that a t-test needs for a power of
80 % which is looked at only once, with the number fixed beforehand.

Losses: `wrong labels` are 0 or 1; `scores` are squared distances of honest but noisy scores from what
happened, as a model of late flights has them; with `shared luck` the share of late flights changes every 100
requests, for both models at once; with `changed weight` the treatment's share goes from a tenth to a half
while the share of late flights triples.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import NormalDist

from monitoring.sequential import UNKNOWN, Experiment, expected_outcomes

ALPHA = 0.05
LOOKS = 10_000
LONGEST = 40_000
_WARM_UP = 100  # outcomes before the t-test is looked at first, in its favour
Outcome = tuple[bool, float, float]


@dataclass(frozen=True)
class Case:
    """Two models, and how their requests come.

    Attributes:
        kind: Of losses.
        weight: The treatment's share.
        effect: How much more the treatment loses; of scores in how much noisier they are.
    """

    kind: str
    weight: float
    effect: float = 0.0

    @property
    def name(self) -> str:
        """For the table."""
        return f"{self.kind}, {self.weight:.0%} of requests"


EQUAL = (
    Case("wrong labels", 0.5),
    Case("wrong labels", 0.1),
    Case("scores", 0.1),
    Case("shared luck", 0.1),
    Case("changed weight", 0.1),
)
DIFFERENT = (
    Case("wrong labels", 0.5, 0.10),
    Case("wrong labels", 0.5, 0.05),
    Case("wrong labels", 0.1, 0.05),
    Case("wrong labels", 0.5, 0.03),
    Case("scores", 0.5, 0.05),
    Case("scores", 0.1, 0.05),
)


def outcomes(case: Case, seed: int) -> Iterator[Outcome]:
    """Requests without end: who answered, what was lost, the treatment's share at that time."""
    rng = random.Random(seed)
    number, chance = 0, 0.2
    while True:
        late, weight = chance, case.weight
        if case.kind == "shared luck" and number % 100 == 0:
            chance = rng.choice((0.05, 0.2, 0.5))
        if case.kind == "changed weight" and number >= LOOKS // 2:
            late, weight = 0.6, 0.5
        treated = rng.random() < weight
        yield treated, _loss(case, rng, late, treated=treated), weight
        number += 1


def _loss(case: Case, rng: random.Random, late: float, *, treated: bool) -> float:
    effect = case.effect if treated else 0.0
    if case.kind != "scores":
        return float(rng.random() < late + effect)
    real = rng.betavariate(2, 6)
    # Noise of deviation s adds s² to the expected squared distance, so this adds `effect`, but for the ends.
    score = min(1.0, max(0.0, real + rng.gauss(0.0, math.sqrt(0.01 + effect))))
    return (score - (rng.random() < real)) ** 2


class Welch:
    """The t-test that is looked at again and again; with so many outcomes t is normal."""

    def __init__(self, alpha: float) -> None:
        self._limit = NormalDist().inv_cdf(1 - alpha / 2)
        self._sums = {True: [0, 0.0, 0.0], False: [0, 0.0, 0.0]}

    def add(self, *, treated: bool, loss: float) -> bool:
        """Take an outcome; whether the two differ by this test now."""
        sums = self._sums[treated]
        sums[0] += 1
        sums[1] += loss
        sums[2] += loss * loss
        (n, a, aa), (m, b, bb) = self._sums[True], self._sums[False]
        if n + m < _WARM_UP or min(n, m) < 2:
            return False
        variance = (aa / n - (a / n) ** 2) / (n - 1) + (bb / m - (b / m) ** 2) / (m - 1)
        return variance > 0 and abs(a / n - b / m) > self._limit * math.sqrt(variance)


def false_alarms(case: Case, seed: int) -> tuple[bool, bool]:
    """Whether ours and the repeated t-test ever tell two equal models apart."""
    ours, theirs = Experiment(alpha=ALPHA), Welch(ALPHA)
    found = False
    for _, (treated, loss, weight) in zip(range(LOOKS), outcomes(case, seed), strict=False):
        ours.add(treated=treated, loss=loss, weight=weight)
        found = found or theirs.add(treated=treated, loss=loss)
    return ours.verdict != UNKNOWN, found


def duration(case: Case, seed: int) -> tuple[int, bool, float]:
    """Outcomes until the verdict (or the longest time), whether it is right, and the losses' deviation."""
    ours = Experiment(alpha=ALPHA)
    for _, (treated, loss, weight) in zip(range(LONGEST), outcomes(case, seed), strict=False):
        ours.add(treated=treated, loss=loss, weight=weight)
        if ours.decided_at:
            break
    return ours.decided_at or LONGEST, ours.verdict == "worse", ours.control.deviation


def real_effect(case: Case, draws: int = 200_000) -> float:
    """The difference of the mean losses; clipping the scores to [0, 1] takes some of the noise away."""
    if case.kind != "scores":
        return case.effect
    rng = random.Random(-1)
    means = [
        statistics.fmean(_loss(case, rng, 0.2, treated=treated) for _ in range(draws))
        for treated in (True, False)
    ]
    return means[0] - means[1]


def fixed_size(effect: float, weight: float, deviation: float, power: float = 0.8) -> int:
    """Outcomes that a two-sided test with a fixed number needs, looked at once."""
    normal = NormalDist()
    z = normal.inv_cdf(1 - ALPHA / 2) + normal.inv_cdf(power)
    return math.ceil((z * deviation / effect) ** 2 / (weight * (1 - weight)))


def wilson(hits: int, runs: int) -> tuple[float, float]:
    """95 % interval of a share: E. B. Wilson, JASA 22, 1927."""
    z, p = 1.959964, hits / runs
    middle = (p + z * z / (2 * runs)) / (1 + z * z / runs)
    half = z / (1 + z * z / runs) * math.sqrt(p * (1 - p) / runs + z * z / (4 * runs * runs))
    return max(0.0, middle - half), min(1.0, middle + half)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000, help="experiments with equal models, per row")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    began = time.perf_counter()
    with ProcessPoolExecutor(options.jobs) as pool:
        equal = [_equal(case, options.runs, pool.map) for case in EQUAL]
        different = [_different(case, max(50, options.runs // 5), pool.map) for case in DIFFERENT]
    report = {
        "alpha": ALPHA, "runs": options.runs, "looks": LOOKS, "equal": equal, "different": different,
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    show(report)


def _equal(case: Case, runs: int, run: Callable[..., Iterator[tuple[bool, bool]]]) -> dict[str, object]:
    found = list(run(partial(false_alarms, case), range(runs), chunksize=10))
    ours, theirs = sum(a for a, _ in found), sum(b for _, b in found)
    return {
        "case": case.name,
        "ours": ours / runs,
        "ours_interval": wilson(ours, runs),
        "t_test": theirs / runs,
        "t_test_interval": wilson(theirs, runs),
    }


def _different(
    case: Case, runs: int, run: Callable[..., Iterator[tuple[int, bool, float]]]
) -> dict[str, object]:
    found = list(run(partial(duration, case), range(runs), chunksize=10))
    counts, effect = sorted(count for count, _, _ in found), real_effect(case)
    deviation = statistics.median(deviation for _, _, deviation in found)
    return {
        "case": case.name,
        "effect": round(effect, 4),
        "found": sum(right for _, right, _ in found) / runs,
        "mean": round(statistics.fmean(counts)),
        "median": round(statistics.median(counts)),
        "nine_in_ten": counts[math.ceil(0.9 * runs) - 1],
        "planned": expected_outcomes(effect, deviation=deviation, weight=case.weight, alpha=ALPHA),
        "fixed_t_test": fixed_size(effect, case.weight, deviation),
    }


def show(report: dict[str, object]) -> None:
    """Print the figures as two tables."""
    print(
        f"Equal models, {LOOKS:,} outcomes, looked at after each: share of experiments with a false verdict"
    )
    print(f"{'':<36}  {'sequential':>22}  {'repeated t-test':>22}")
    for row in report["equal"]:  # type: ignore[attr-defined]
        print(f"{row['case']:<36}  {_share(row, 'ours'):>22}  {_share(row, 't_test'):>22}")
    print(f"\nDifferent models: outcomes until the verdict `worse`; {LONGEST:,} at most")
    names = "  ".join(f"{name:>7}" for name in ("median", "mean", "9 in 10", "planned", "t, once"))
    print(f"{'':<36}  {'effect':>6}  {'found':>6}  {names}")
    for row in report["different"]:  # type: ignore[attr-defined]
        numbers = "  ".join(
            f"{row[k]:>7,}" for k in ("median", "mean", "nine_in_ten", "planned", "fixed_t_test")
        )
        print(f"{row['case']:<36}  {row['effect']:>6.3f}  {row['found']:>6.0%}  {numbers}")
    print(f"\n{report['runs']} runs per row, {report['seconds']} s")


def _share(row: dict[str, object], key: str) -> str:
    interval: tuple[float, float] = row[f"{key}_interval"]  # type: ignore[assignment]
    low, high = interval
    return f"{row[key]:.1%} ({low:.1%} - {high:.1%})"


if __name__ == "__main__":
    main()
