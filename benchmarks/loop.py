"""How long the loop takes in the sandbox, and where the time goes.

    .venv/bin/python benchmarks/loop.py --runs 5 --json figures.json

Each run starts a sandbox, deploys the whole stack (the seed model is trained and its endpoint comes into
service), pushes January, waits until the new version answers, and stops. Everything is what a user runs: the
`upkeep` command line as a separate process. Reported are medians, with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from models.flights.months import write_month
from sandbox import lifecycle

PORT = 4599
ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--demo", action="store_true", help="also time the six-month demo")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    runs = []
    for number in range(options.runs):
        runs.append(measure(demo=options.demo))
        print(f"run {number + 1}: {json.dumps(runs[-1])}", file=sys.stderr)
    figures = {
        name: spread([run[name] for run in runs if name in run])
        for name in dict.fromkeys(k for r in runs for k in r)
    }
    report = {"machine": machine(), "runs": options.runs, "figures": figures}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    width = max(map(len, figures))
    print("  ".join(f"{key}: {value}" for key, value in report["machine"].items()))
    for name, (median, low, high) in figures.items():
        print(f"{name:<{width}}  {median:8.2f}  ({low:.2f} - {high:.2f})")


def measure(*, demo: bool) -> dict[str, float]:
    """One run, in seconds and megabytes."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        january = write_month(1, Path(folder))
        began = time.perf_counter()
        info = lifecycle.start(PORT, detach=False)
        found["sandbox ready, s"] = time.perf_counter() - began
        try:
            found["stack up, s"] = timed("up", "--yes")[0]
            found["second up (no changes), s"] = timed("up", "--yes")[0]
            seconds, result = timed("push", "--wait", "--json", str(january))
            found["push of January to the new version answering, s"] = seconds
            found |= breakdown(json.loads(result))
            found["memory with one endpoint, MB"] = memory_mb(info.pid)
            found["down, s"] = timed("down", "--yes")[0]
        finally:
            lifecycle.stop(PORT)
        if demo:
            found["demo of six months, s"] = timed("demo", "--port", str(PORT), "--json")[0]
    return {name: round(value, 2) for name, value in found.items()}


def timed(*args: str) -> tuple[float, str]:
    """Run one command of ours; its seconds and what it printed."""
    environment = os.environ | {"NO_COLOR": "1", "AWS_ENDPOINT_URL": f"http://{lifecycle.HOST}:{PORT}"}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "upkeep", *args],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise SystemExit(
            f"upkeep {' '.join(args)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
    return seconds, done.stdout


def breakdown(result: dict[str, Any]) -> dict[str, float]:
    """Seconds of the two executions a push leads to."""
    parts = {
        "  of it the retrain machine, s": result["run"],
        "  of it the release machine, s": result["release"],
    }
    return {name: float(part["seconds"]) for name, part in parts.items() if part and part.get("seconds")}


def memory_mb(pid: int) -> float:
    """Memory of the sandbox with everything it started; what processes share counts once (PSS)."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(process.memory_full_info().pss for process in processes) / 1e6


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median, smallest, largest."""
    return statistics.median(values), min(values), max(values)


def machine() -> dict[str, str]:
    """Where the figures come from."""
    return {
        "date": datetime.now().astimezone().date().isoformat(),
        "cpus": str(os.cpu_count()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
