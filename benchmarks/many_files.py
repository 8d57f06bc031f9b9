"""How a stack takes ten thousand small files pushed within a minute: how fast, and what becomes of each.

    .venv/bin/python benchmarks/many_files.py --files 10000 --json figures.json

Starts a sandbox, deploys the flights stack with the limits a stack has by default (the sandbox's own settings
hold nothing back), and puts files of thirty real flights each below ``incoming/flights/``. One in fifty is
bad, one in thirty has the bytes of another. Then it waits until the ledger says what became of every file,
and until a training has read all that was accepted. It fails when a file is not accounted for as it should
be, or when more trainings were started than the limits allow.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config
from loop import machine, memory_mb

from models.flights import months
from models.spec import Triggers
from sandbox import lifecycle

PORT = 4598
ROOT = Path(__file__).resolve().parents[1]
STACK, MODEL = "sandbox-many", "flights"
STACK_FILE = ROOT / f"Pulumi.{STACK}.yaml"
ROWS_PER_FILE = 30
BAD_EVERY, REPEATED_EVERY = 50, 30
THREADS = 16
PAUSE_SECONDS = 5.0
COMMAND_SECONDS = 900


@dataclass(frozen=True)
class Account:
    """A running stack.

    Attributes:
        info: Its sandbox.
        outputs: What the stack says of itself.
    """

    info: lifecycle.SandboxInfo
    outputs: dict[str, Any]

    def client(self, service: str) -> Any:
        """A client as the account's owner, for many threads."""
        return boto3.client(
            service,  # type: ignore[call-overload] # its overloads list every service there is
            endpoint_url=f"http://{lifecycle.HOST}:{self.info.port}",
            region_name=lifecycle.REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(
                max_pool_connections=THREADS, retries={"total_max_attempts": 4, "mode": "standard"}
            ),
        )

    @property
    def prefix(self) -> str:
        """Start of the stack's names."""
        return f"upkeep-{STACK}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds to wait for all files")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    files = make(options.files)
    info = lifecycle.start(options.port, detach=False)
    try:
        account = deploy(info)
        found = measure(account, files, options.timeout)
    finally:
        STACK_FILE.unlink(missing_ok=True)
        lifecycle.stop(options.port)
    report = {"machine": machine(), "figures": found}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    width = max(map(len, found))
    print("  ".join(f"{key}: {value}" for key, value in machine().items()))
    for name, value in found.items():
        print(f"{name:<{width}}  {value}")
    if problems := wrong(found, files):
        raise SystemExit("\n".join(problems))


def make(count: int) -> list[tuple[str, bytes, str]]:
    """Names, contents and what must become of them: accepted, duplicate or quarantined."""
    table = months.flights().drop(columns="month").sample(frac=1.0, random_state=0)
    source = random.Random(0)
    made: list[tuple[str, bytes, str]] = []
    for number in range(count):
        begin = number * ROWS_PER_FILE % (len(table) - ROWS_PER_FILE)
        rows = table.iloc[begin : begin + ROWS_PER_FILE].copy()
        # A label that is the same in all rows is no data; the contract refuses such a file.
        rows.iloc[0, rows.columns.get_loc("late")] = 0
        rows.iloc[1, rows.columns.get_loc("late")] = 1
        expected = "accepted"
        if number % BAD_EVERY == BAD_EVERY - 1:
            rows["carrier"] = "nobody's"
            expected = "quarantined"
        text = rows.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S", lineterminator="\n")
        body = text.encode()
        good = [one for one in made[-200:] if one[2] == "accepted"]
        if number % REPEATED_EVERY == REPEATED_EVERY - 1 and good and expected == "accepted":
            body, expected = source.choice(good)[1], "duplicate"
        made.append((f"part-{number:05d}.csv", body, expected))
    return made


def deploy(info: lifecycle.SandboxInfo) -> Account:
    """The flights stack with the limits that a stack has by default."""
    document = yaml.safe_load((ROOT / "Pulumi.sandbox.yaml").read_text(encoding="utf-8"))
    document["config"]["upkeep:overrides"][MODEL].pop("triggers")
    STACK_FILE.write_text(yaml.safe_dump(document), encoding="utf-8")
    environment = {
        **os.environ,
        **lifecycle.environment(info),
        "NO_COLOR": "1",
        "UPKEEP_STACK": STACK,
    }
    printed = ""
    for command in (["up", "--yes"], ["outputs", "--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "upkeep", *command],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(
                f"upkeep {command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        printed = done.stdout
    return Account(info, json.loads(printed))


def measure(account: Account, files: list[tuple[str, bytes, str]], timeout_seconds: float) -> dict[str, Any]:
    """Push all, wait for all."""
    s3, bucket = account.client("s3"), account.outputs["data_bucket"]

    def put(file: tuple[str, bytes, str]) -> None:
        s3.put_object(Bucket=bucket, Key=f"incoming/{MODEL}/{file[0]}", Body=file[1])

    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(put, files))
    pushed = time.perf_counter() - began
    print(f"pushed {len(files):,} in {pushed:.1f} s", file=sys.stderr)
    most = 0.0
    deadline = began + timeout_seconds
    while time.perf_counter() < deadline:
        most = max(most, memory_mb(account.info.pid))
        waiting, held = depth(account, "intake_queue_url")
        print(f"{time.perf_counter() - began:6.0f} s  {waiting:6} wait, {held} in hand", file=sys.stderr)
        if not waiting and not held and sum(states(account).values()) >= len(files):
            break
        time.sleep(PAUSE_SECONDS)
    settled = time.perf_counter() - began
    found = states(account)
    trained = wait_for_training(account, deadline)
    runs = [plain(item) for item in items(account, "run#")]
    limits = Triggers()
    return {
        "files": len(files),
        "seconds to push": round(pushed, 1),
        **{f"files {state}": count for state, count in sorted(found.items())},
        "seconds until all files were settled": round(settled, 1),
        "files settled a second": round(len(files) / settled, 1),
        "largest memory, MB": round(most),
        "left in incoming": sum(1 for _ in left(account)),
        "dead letters": sum(depth(account, "intake_dead_letters_url")),
        "trainings started": len(runs),
        "least seconds between two starts": gap(runs),
        "limits": f"cool-down {limits.cooldown_seconds} s, {limits.max_per_day} a day",
        "seconds until a training had read all": round(trained - began, 1) if trained else None,
        "files in the last manifest": max((run["files"] for run in runs), default=0),
    }


def wait_for_training(account: Account, deadline: float) -> float | None:
    """When a training had succeeded on all that is accepted; None when none had in time."""
    keys = {plain(item)["key"] for item in items(account, "data#")}
    while time.perf_counter() < deadline:
        runs = [plain(item) for item in items(account, "run#")]
        if any(run["state"] in ("succeeded", "releasing") and run["files"] == len(keys) for run in runs):
            return time.perf_counter()
        time.sleep(PAUSE_SECONDS)
    return None


def wrong(found: dict[str, Any], files: list[tuple[str, bytes, str]]) -> list[str]:
    """What is not as it should be."""
    problems = []
    for state, expected in Counter(file[2] for file in files).items():
        if (count := found.get(f"files {state}", 0)) != expected:
            problems.append(f"{count} files are {state}, expected {expected}")
    empty = ("left in incoming", "dead letters")
    problems += [f"{what}: {found[what]}, expected 0" for what in empty if found[what]]
    gap_seconds = found["least seconds between two starts"]
    if gap_seconds is not None and gap_seconds < Triggers().cooldown_seconds:
        problems.append(f"two trainings began within {gap_seconds} s, the cool-down is longer")
    if found["seconds until a training had read all"] is None:
        problems.append("no training has read all that was accepted")
    return problems


def states(account: Account) -> Counter[str]:
    """How many files ended how; those that are being worked on are left out."""
    found = Counter(plain(item)["state"] for item in items(account, "object#"))
    del found["claimed"]
    return found


def items(account: Account, start: str) -> Iterator[dict[str, Any]]:
    """Items of the model in the ledger."""
    pages = account.client("dynamodb").get_paginator("query").paginate(
        TableName=account.outputs["ledger_table"],
        KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
        ExpressionAttributeValues={":pk": {"S": MODEL}, ":sk": {"S": start}},
    )  # fmt: skip
    for page in pages:
        yield from page["Items"]


def plain(item: dict[str, Any]) -> dict[str, Any]:
    """Text and numbers of an item."""
    kinds = {"S": str, "N": float}
    return {
        name: kinds[kind](held)
        for name, value in item.items()
        for kind, held in value.items()
        if kind in kinds
    }


def gap(runs: list[dict[str, Any]]) -> float | None:
    """Seconds between the two starts that are closest."""
    starts = sorted(run["started_at"] for run in runs)
    return min((round(two - one, 1) for one, two in itertools.pairwise(starts)), default=None)


def left(account: Account) -> Iterator[str]:
    """Keys that still lie in ``incoming/``."""
    pages = account.client("s3").get_paginator("list_objects_v2").paginate(
        Bucket=account.outputs["data_bucket"], Prefix="incoming/"
    )  # fmt: skip
    for page in pages:
        yield from (item["Key"] for item in page.get("Contents", []))


def depth(account: Account, queue: str) -> tuple[int, int]:
    """How many messages wait in a queue, and how many are in a function's hands."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = account.client("sqs").get_queue_attributes(QueueUrl=account.outputs[queue], AttributeNames=names)[
        "Attributes"
    ]
    waiting, held = (int(found[name]) for name in names)
    return waiting, held


if __name__ == "__main__":
    main()
