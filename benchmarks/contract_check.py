"""How long the check of five million rows takes, side by side with pandera and Great Expectations.

    .venv/bin/python benchmarks/contract_check.py --runs 3 --json figures.json

The data are all flights of 2013, repeated sixteen times at other dates so that no two rows share their key,
as CSV and as Parquet. Every check looks for the same: types, missing values, ranges, categories and repeated
keys. Each runs in a fresh process, imports included, and they take turns. The other tools are installed into
an environment of their own, which is kept for the next time; the project does not depend on them.

It also measures how long a fresh process needs until the intake function could work, and how large the
functions' bundle is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# A check's process runs this file, in the other tools' environment too: so only the standard library here,
# and of that only what a check needs; the rest where it is used.
ROOT = Path(__file__).resolve().parents[1]
PEERS = ("pandera[pandas]==0.35.0", "great-expectations==1.24.1", "pandas==3.1.1", "pyarrow==26.0.1")
KEY = ["departure", "carrier", "origin", "dest", "arrival_minute"]
WHOLE = ["distance", "departure_minute", "arrival_minute", "weekday", "late"]
FEATURES = "features.json"
SPEC = "spec.json"
ROWS = 5_000_000
COPIES = 16
# 53 weeks: days of the week stay what they are.
SHIFT_DAYS = 371
TIMEOUT_SECONDS = 900


def main() -> None:
    """Measure and print; or, as a child, do one check."""
    import tempfile

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "upkeep-benchmark"))
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--child", choices=sorted(CHILDREN), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        finish(CHILDREN[options.child](options.file))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    files = build(options.folder, options.rows)
    declared = spec()
    (options.folder / FEATURES).write_text(json.dumps(declared.to_dict()["features"]))
    (options.folder / SPEC).write_text(declared.to_json())
    theirs = environment(options.folder)
    figures: dict[str, list[dict[str, float]]] = {}
    for number in range(options.runs + 1):
        for name, (python, child, file) in tasks(files, theirs).items():
            found = run(python, child, file)
            # The first round brings files and byte code into memory for all of them.
            if number:
                figures.setdefault(name, []).append(found)
                print(f"run {number}: {name}: {json.dumps(found)}", file=sys.stderr)
    report = {"machine": machine(), "runs": options.runs, "rows": options.rows, "figures": figures}
    report["bundle_mb"] = bundle_mb()
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    show(report)


def tasks(files: dict[str, Path], theirs: Path) -> dict[str, tuple[str, str, Path | None]]:
    """What is run in each round, in turns."""
    csv, parquet, peer = files["csv"], files["parquet"], str(theirs)
    return {
        "CSV, Upkeep": (sys.executable, "upkeep", csv),
        "CSV, pandera": (peer, "pandera", csv),
        "Parquet, Upkeep": (sys.executable, "upkeep", parquet),
        "Parquet, pandera": (peer, "pandera", parquet),
        "Parquet, Great Expectations": (peer, "great_expectations", parquet),
        "cold start": (sys.executable, "cold", None),
    }


def run(python: str, child: str, file: Path | None) -> dict[str, float]:
    """One check in a fresh process: seconds from start to end and of its CPUs, peak of memory in MB."""
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    done = subprocess.run(
        [python, __file__, "--child", child, *(["--file", str(file)] if file else [])],
        cwd=ROOT, env=variables | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=TIMEOUT_SECONDS, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{child} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    return {"seconds": round(seconds, 2)} | {name: round(value, 2) for name, value in said.items()}


def finish(verdict: bool) -> None:
    """Say what the child took, once it is sure that it did its work."""
    if not verdict:
        raise SystemExit("the data should have passed")
    import resource

    unit = 1e6 if sys.platform == "darwin" else 1e3
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"cpu_seconds": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss / unit}))


def build(folder: Path, rows: int) -> dict[str, Path]:
    """The data, as CSV and as Parquet."""
    import tempfile

    files = {kind: folder / f"flights-{rows}.{kind}" for kind in ("csv", "parquet")}
    if all(path.is_file() for path in files.values()):
        return files
    import duckdb

    from models.flights.months import write_month

    with tempfile.TemporaryDirectory(dir=folder) as work:
        for month in range(1, 13):
            write_month(month, Path(work))
        connection = duckdb.connect()
        connection.execute(
            f"CREATE TABLE year AS SELECT * FROM read_csv('{work}/*.csv', nullstr='', "
            "types={'carrier': 'VARCHAR', 'departure': 'TIMESTAMP'}) "
            f"QUALIFY row_number() OVER (PARTITION BY {', '.join(KEY)}) = 1 ORDER BY ALL"
        )
        connection.execute(
            "CREATE TABLE data AS SELECT year.* "
            f"REPLACE (departure - to_days({SHIFT_DAYS} * copy::INTEGER) AS departure) "
            f"FROM range({COPIES}) AS copies(copy), year ORDER BY {', '.join(KEY)} LIMIT {rows}"
        )
        connection.execute(f"COPY data TO '{files['parquet']}' (FORMAT parquet)")
        connection.execute(
            "COPY (SELECT * REPLACE (strftime(departure, '%Y-%m-%dT%H:%M:%S') AS departure) FROM data) "
            f"TO '{files['csv']}' (HEADER, NULLSTR '')"
        )
    return files


def environment(folder: Path) -> Path:
    """The other tools' Python, installed once."""
    import hashlib
    import shutil
    import sysconfig

    beside = Path(sysconfig.get_path("scripts"), "uv")
    uv = str(beside) if beside.is_file() else shutil.which("uv")
    if uv is None:
        raise SystemExit("uv was not found; install it")
    home = folder / f"peers-{hashlib.sha256(repr((PEERS, sys.version)).encode()).hexdigest()[:12]}"
    python = home / "bin" / "python"
    if not (home / "ready").is_file():
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, home], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *PEERS], check=True
        )
        (home / "ready").touch()
    return python


def spec() -> Any:
    """The flights model with a key."""
    from dataclasses import replace

    from models.load import load

    flights = load(["flights"])["flights"]
    return replace(flights, contract=replace(flights.contract, key=tuple(KEY)))


def upkeep(file: Path) -> bool:
    """Our check with the spec as the intake gets it; it writes nothing."""
    from models.spec import parse
    from training.contract.check import check_file

    return check_file(file, parse(json.loads(file.with_name(SPEC).read_text()))).ok


def cold(_: Path | None) -> bool:
    """What the intake function does before its first message."""
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    import duckdb

    import training.contract.check
    import training.intake.handler

    connected = duckdb.connect().execute("SELECT 1").fetchall()
    return bool(connected and training.intake.handler.handler)


def features(file: Path) -> dict[str, Any]:
    """The features of the spec as plain data; the other environment cannot read it itself."""
    found: dict[str, Any] = json.loads(file.with_name(FEATURES).read_text())
    return found


def read_frame(file: Path) -> Any:
    """The data as both other tools get them."""
    import pandas as pd

    if file.suffix == ".parquet":
        return pd.read_parquet(file)
    texts = dict.fromkeys(("carrier", "origin", "dest"), "str")
    return pd.read_csv(file, dtype=texts, parse_dates=["departure"], keep_default_na=False, na_values=[""])


def pandera(file: Path) -> bool:
    """The contract as a pandera schema."""
    import pandera.pandas as pa

    columns = {"departure": pa.Column("datetime64[us]"), "late": pa.Column("int64", pa.Check.isin([0, 1]))}
    for name, rule in features(file).items():
        nullable = rule["nullable"]
        if rule["type"] == "category":
            checks = [pa.Check.isin(rule["values"])] if rule["values"] else []
            columns[name] = pa.Column("str", checks, nullable=nullable)
        else:
            kind = "int64" if name in WHOLE else "float64"
            columns[name] = pa.Column(kind, pa.Check.in_range(rule["min"], rule["max"]), nullable=nullable)
    schema = pa.DataFrameSchema(columns, unique=KEY)
    return len(schema.validate(read_frame(file), lazy=True)) > 0


def great_expectations(file: Path) -> bool:
    """The contract as an expectation suite."""
    import great_expectations as gx
    from great_expectations import expectations as expect

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("flights").add_dataframe_asset("flights")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": read_frame(file)})
    rules = [
        expect.ExpectColumnValuesToBeOfType(column="departure", type_="datetime64[us]"),
        expect.ExpectColumnValuesToNotBeNull(column="departure"),
        expect.ExpectColumnValuesToNotBeNull(column="late"),
        expect.ExpectColumnValuesToBeInSet(column="late", value_set=[0, 1]),
        expect.ExpectCompoundColumnsToBeUnique(column_list=KEY),
    ]
    for name, rule in features(file).items():
        if not rule["nullable"]:
            rules.append(expect.ExpectColumnValuesToNotBeNull(column=name))
        if rule["values"]:
            rules.append(expect.ExpectColumnValuesToBeInSet(column=name, value_set=rule["values"]))
        if rule["type"] == "number":
            kind = "int64" if name in WHOLE else "float64"
            rules.append(expect.ExpectColumnValuesToBeOfType(column=name, type_=kind))
            rules.append(
                expect.ExpectColumnValuesToBeBetween(
                    column=name, min_value=rule["min"], max_value=rule["max"]
                )
            )
    suite = gx.ExpectationSuite(name="flights", expectations=rules)
    result = batch.validate(suite, result_format="BOOLEAN_ONLY")
    failed = [one.expectation_config.to_json_dict() for one in result.results if not one.success]
    if failed:
        print(json.dumps(failed)[:2000], file=sys.stderr)
    return bool(result.success)


CHILDREN: dict[str, Callable[[Any], bool]] = {
    "upkeep": upkeep,
    "cold": cold,
    "pandera": pandera,
    "great_expectations": great_expectations,
}


def bundle_mb() -> float:
    """Unpacked size of the functions' archive, with its packages."""
    import zipfile

    from infra import archives

    with zipfile.ZipFile(archives.build(bundle=True).functions) as bundle:
        return round(sum(entry.file_size for entry in bundle.infolist()) / 1e6, 1)


def machine() -> dict[str, str]:
    """Where the figures come from."""
    import platform
    from datetime import datetime

    return {
        "date": datetime.now().astimezone().date().isoformat(),
        "cpus": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


def show(report: dict[str, Any]) -> None:
    """Print medians with the smallest and the largest, and how ours compare with the others'."""
    import statistics

    print("  ".join(f"{key}: {value}" for key, value in report["machine"].items()))
    middle = {}
    for name, found in report["figures"].items():
        seconds = [one["seconds"] for one in found]
        megabytes = statistics.median(one["megabytes"] for one in found)
        middle[name] = statistics.median(seconds), megabytes
        spread = f"({min(seconds):.2f} - {max(seconds):.2f})"
        work = statistics.median(one["cpu_seconds"] for one in found)
        print(f"{name:<28} {middle[name][0]:6.2f} s {spread:>16} {work:6.2f} s CPU {megabytes:6.0f} MB")
    print(f"{'bundle, unpacked':<28} {report['bundle_mb']:>26} MB")
    for name, (seconds, megabytes) in middle.items():
        ours = middle.get(f"{name.partition(',')[0]}, Upkeep")
        if ours and "Upkeep" not in name:
            shares = f"{ours[0] / seconds:.1%} of the time, {ours[1] / megabytes:.0%} of the memory"
            print(f"{name}: Upkeep takes {shares}")


if __name__ == "__main__":
    main()
