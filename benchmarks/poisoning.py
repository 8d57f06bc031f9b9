"""How often the gate refuses a model that was trained on falsified labels, on real flights.

    .venv/bin/python benchmarks/poisoning.py --json figures.json

A month is pushed in which a share of the labels is flipped, at random. The champion was trained on everything
before it, unharmed. The challenger is trained by the job itself (``training.job``) on all of it, and the
gate of the flights model decides. Where the labels are flipped makes a difference:

all        In the whole month, and so in the rows that are held out of it.
fitted     Only in what is fitted on: the rows held out are true, as those of a set apart would be.

Besides the decision it is measured whether the challenger really is worse than the champion: on the same
rows held out, with their true labels.
"""

from __future__ import annotations

import argparse
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np

from models.flights.months import flights
from models.load import load
from models.spec import ModelSpec
from training import artifact, job, reading
from training.evaluate import measure
from training.gate.decide import decide
from training.settings import Settings

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3)
PLACES = ("all", "fitted")
MONTHS = (2, 3, 4, 5, 6)


@dataclass(frozen=True)
class Delivery:
    """One falsified month.

    Attributes:
        month: From 2; the months before it are the champion's.
        share: Of the labels that are flipped.
        place: Where, one of ``PLACES``.
        seed: Which labels.
    """

    month: int
    share: float
    place: str
    seed: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        runs = list(every(Path(folder), range(options.seeds)))
    table = summary(runs)
    show(table)
    if options.json:
        options.json.write_text(json.dumps({"summary": table, "runs": runs}, indent=1), encoding="utf-8")
    print(f"{time.perf_counter() - started:.0f} s")


def every(folder: Path, seeds: range) -> Iterator[dict[str, Any]]:
    """All months, shares and places; what nothing is flipped in is pushed once."""
    for month in MONTHS:
        for share in SHARES:
            for place in PLACES if share else PLACES[:1]:
                for seed in seeds if share else seeds[:1]:
                    yield push(folder, Delivery(month, share, place, seed))


def push(folder: Path, delivery: Delivery) -> dict[str, Any]:
    """Train on a delivery and decide."""
    spec = load(["flights"])["flights"]
    champion = _champion(folder, delivery.month)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        place = Path(scratch)
        files = [_month(folder, number) for number in range(1, delivery.month)]
        falsify(delivery, place / "data" / f"2013-{delivery.month:02}.csv", spec)
        evaluation = train(spec, place, files, champion)
        decision = decide(evaluation, spec.gate)
        worse = -true_gain(spec, place, champion, [*files, _month(folder, delivery.month)], evaluation)
    return {
        "month": delivery.month,
        "share": delivery.share,
        "place": delivery.place,
        "seed": delivery.seed,
        "refused": not decision.promote,
        "truly_worse_by": worse,
        "reason": decision.reason,
    }


def train(spec: ModelSpec, folder: Path, files: list[Path], champion: Path | None) -> dict[str, Any]:
    """Run the job in a folder whose ``data`` may hold a file already."""
    data, specs = folder / "data", folder / "spec"
    data.mkdir(exist_ok=True)
    specs.mkdir()
    (specs / f"{spec.name}.json").write_text(spec.to_json(), encoding="utf-8")
    for file in files:
        (data / file.name).symlink_to(file)
    settings = Settings(
        model=spec.name,
        run_id=folder.name,
        data=data,
        spec=specs,
        champion=champion,
        model_dir=folder / "model",
        output_dir=folder / "output",
    )
    return job.run(settings)


def falsify(delivery: Delivery, path: Path, spec: ModelSpec) -> None:
    """Write the month with some labels flipped."""
    table = _table(delivery.month).copy()
    count = len(table)
    random = np.random.default_rng([delivery.seed, delivery.month])
    flipped = random.random(count) < delivery.share
    if delivery.place == "fitted":
        earlier = sum(len(_table(month)) for month in range(1, delivery.month))
        held = round((earlier + count) * spec.training.holdout_share)
        # A day more than is held out, for rows of one instant stay together.
        flipped[count - held - count // 28 :] = False
    table.loc[flipped, spec.target] = 1 - table.loc[flipped, spec.target]
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def true_gain(
    spec: ModelSpec, place: Path, champion: Path, files: list[Path], evaluation: dict[str, Any]
) -> float:
    """The challenger's gain on the rows held out, with their true labels."""
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        for file in files:
            Path(scratch, file.name).symlink_to(file)
        table = reading.read(Path(scratch), spec)
    start = int(np.searchsorted(table.times, np.datetime64(evaluation["window"]["holdout_from"])))
    rows, labels = table.frame.iloc[start:], table.labels[start:]
    old = artifact.load(artifact.unpack(champion / artifact.ARCHIVE, place / "old"))
    values = [
        measure(spec.task, labels, model.scores(model.encoder.encode_frame(rows)), [])[spec.gate.metric]
        for model in (artifact.load(place / "model"), old)
    ]
    return values[0] - values[1]


def _champion(folder: Path, month: int) -> Path:
    """The archive of the model trained on all months before; made once."""
    place = folder / f"champion-{month}"
    archive = place / "champion" / artifact.ARCHIVE
    if not archive.is_file():
        place.mkdir()
        train(load(["flights"])["flights"], place, [_month(folder, n) for n in range(1, month)], None)
        archive.parent.mkdir()
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(place / "model", arcname=".")
    return archive.parent


def _month(folder: Path, month: int) -> Path:
    path = folder / f"2013-{month:02}.csv"
    if not path.is_file():
        _table(month).to_csv(path, index=False)
    return path


@cache
def _table(month: int) -> Any:
    table = flights()
    return table[table["month"] == month].drop(columns="month").reset_index(drop=True)


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per share and place: how many were refused, of all and of those that are truly worse."""
    found = []
    for place in PLACES:
        for share in SHARES:
            some = [r for r in runs if r["share"] == share and (r["place"] == place or not share)]
            worse = [r for r in some if r["truly_worse_by"] > 0]
            found.append(
                {
                    "place": place,
                    "share": share,
                    "runs": len(some),
                    "refused": sum(r["refused"] for r in some),
                    "truly_worse": len(worse),
                    "truly_worse_refused": sum(r["refused"] for r in worse),
                    "mean_true_gain": -sum(r["truly_worse_by"] for r in some) / len(some),
                }
            )
    return found


def show(table: list[dict[str, Any]]) -> None:
    print("| flipped in | share | refused | of those truly worse | mean true gain |")
    print("|---|---:|---:|---:|---:|")
    for row in table:
        print(
            f"| {row['place']} | {row['share']:.0%} | {row['refused']} of {row['runs']} | "
            f"{row['truly_worse_refused']} of {row['truly_worse']} | {row['mean_true_gain']:+.4f} |"
        )


if __name__ == "__main__":
    main()
