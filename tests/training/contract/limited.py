"""Checks a file in a process of its own and says what that took; for files that are made to do harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.spec import ModelSpec

ROOT = Path(__file__).parents[3]
TIMEOUT_SECONDS = 120
_CODE = """
import json, resource, shutil, sys, time
from pathlib import Path
from models.spec import parse
from training.contract.check import check_file
folder = Path(sys.argv[1])
# Address space is reserved generously by DuckDB; what counts is what becomes resident.
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000_000, 2_000_000_000))
spec = parse(json.loads((folder / "spec.json").read_text()))
start = time.perf_counter()
report = check_file(folder / "data", spec, accept_to=folder / "good.parquet", reject_to=folder / "bad.csv")
seconds = time.perf_counter() - start
# Not ru_maxrss: a new process begins with that of the one that started it.
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps({
    "ok": report.ok, "rows": report.rows, "dropped": report.dropped, "reason": report.reason,
    "rules": [f.rule for f in report.findings], "seconds": seconds, "megabytes": peak,
    "left": sorted(p.name for p in folder.iterdir()),
}))
"""


@dataclass(frozen=True)
class Outcome:
    """What the check said, and what it took.

    Attributes:
        seconds: Of the check alone.
        megabytes: The process' peak of resident memory, Python and DuckDB included.
        left: Names in the folder afterwards.
    """

    ok: bool
    rows: int
    dropped: int
    reason: str
    rules: list[str]
    seconds: float
    megabytes: float
    left: list[str]


def check(folder: Path, spec: ModelSpec) -> Outcome:
    """Check the file ``data`` of a folder; fails when the process does, or takes too long."""
    (folder / "spec.json").write_text(spec.to_json())
    done = subprocess.run(
        [sys.executable, "-c", _CODE, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"the check ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return Outcome(**found)
