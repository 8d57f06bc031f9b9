"""What must hold of every history, whatever went wrong in it. This is the asset; the stories only feed it.

I1  each data version leads to one successful training and at most one registered package
I4  nothing vanishes: every object version ends in a final state; all good rows are data, no bad one is
I5  the newest data wins: the last training is on all that is accepted, and no later one on less
I7  spending is bounded: one at a time, cool-down, so many a day, so much a month
Told: people hear of every quarantined delivery and of every hold
Calls: no storm under throttling

Nothing here asks the code under test what is right: the truth is what the world did (``Facts``), what the
buckets, the table and the machines hold, and what ``contents`` knows of each file.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from models.prices import usd_per_hour
from tests.faults.contents import Content, hour_of, seed
from tests.faults.machines import Execution
from tests.faults.world import DATA, DAY, LEDGER, PREFIX, Push, World

FINAL = ("accepted", "duplicate", "quarantined", "ignored", "gone", "dead")
KEPT = ("accepted/", "quarantine/", "manifests/", "rejected/")
MAX_ATTEMPTS = 3
PROMPT_SECONDS = 30
NO_MODEL = "no-model"


@dataclass(frozen=True)
class Expectation:
    """What kind of story it was.

    Attributes:
        crashes: Functions were killed or answers were lost: people may be told twice.
        prompt: Nothing was late or lost: trainings begin as soon as they may.
        at_rest: The world has settled; otherwise only what must hold at any time is checked.
        dead: Object versions may still be dead: nobody has replayed the dead letters.
    """

    crashes: bool = True
    prompt: bool = False
    at_rest: bool = True
    dead: bool = False


def violations(world: World, expectation: Expectation | None = None) -> list[str]:
    """Every promise that the history breaks, as sentences that begin with the promise's name."""
    expected = expectation or Expectation()
    found: list[str] = []
    found += _void(world)
    found += _kept(world)
    found += _taken_out_safely(world)
    found += _spending(world)
    found += _trained_once(world)
    found += _never_less(world)
    found += _manifests(world)
    if expected.at_rest:
        found += _settled(world, expected)
        found += _accepted(world)
        found += _quarantined(world)
        found += _emptied(world)
        found += _newest(world)
        found += _told(world, expected)
        found += _promptly(world, expected)
        found += _dead_letters(world)
    return found


def check(world: World, expectation: Expectation | None = None) -> None:
    """Fail with all broken promises and with what went wrong in the story.

    Raises:
        AssertionError: Lists them.
    """
    if found := violations(world, expectation):
        faults = world.nemesis.struck[-12:] + world.facts.raised[-6:]
        raise AssertionError("\n".join(["broken promises:", *found, "after:", *faults]))


# Whether the test itself can be believed.


def _void(world: World) -> Iterator[str]:
    for call in world.account.unknown:
        yield f"Void: the account in memory does not know {call}"


# I4: nothing vanishes.


def _settled(world: World, expected: Expectation) -> Iterator[str]:
    """Every version that was pushed has one final record that fits it."""
    records = _records(world, "object#")
    for push in _pushes(world):
        mine = [
            record
            for record in records
            if record.get("key") == push.key and record.get("version_id") == push.version_id
        ]
        name = f"{push.key} {push.version_id[:6]} ({push.content.name})"
        if not mine:
            # Its owner removed it before anybody was told: nobody could know of it.
            if push.told or push.withdrawn is None:
                yield f"I4: {name} has no record"
            continue
        if len(mine) > 1:
            yield f"I4: {name} has {len(mine)} records"
        state = mine[0]["state"]
        allowed = {"accepted", "duplicate"} if push.is_good else {"quarantined"}
        allowed |= {"gone"} if push.withdrawn is not None else set()
        allowed |= {"dead"} if expected.dead else set()
        if push.verdict == "ignored":
            allowed = {"ignored"}
        if push.verdict == "manifest":
            allowed = {"accepted"} if _has_manifests(world, push.model) else {"ignored"}
        if state not in allowed:
            wanted = " or ".join(sorted(allowed))
            yield f"I4: {name} ended {state}, expected {wanted}: {mine[0].get('reason')}"


def _accepted(world: World) -> Iterator[str]:
    """Every good content is data once, with exactly its good rows; nothing else is."""
    for model in world.specs:
        records = _records(world, "data#", model)
        by_content = Counter(record["sk"].removeprefix("data#") for record in records)
        known = {push.content.sha256: push.content for push in _pushes(world) if push.model == model}
        known[seed().sha256] = seed()
        for push in _pushes(world):
            content = push.content
            if push.model == model and push.is_good and not by_content[content.sha256]:
                same = [p for p in _pushes(world) if p.content == content and p.model == model]
                if any(p.withdrawn is None for p in same):
                    yield f"I4: {content.name} is good and is not data"
        for record in records:
            yield from _rows_kept(world, record, known)


def _rows_kept(world: World, record: dict[str, Any], known: dict[str, Content]) -> Iterator[str]:
    content = known.get(record["sk"].removeprefix("data#"))
    if content is None:
        yield f"I4: {record['key']} is data that nobody pushed"
        return
    if not content.is_good:
        yield f"I4: {content.name} is bad and is data"
    version = world.s3.current(DATA, record["key"])
    if version is None:
        yield f"I4: {record['key']} of {content.name} is not there"
        return
    if hashlib.sha256(version.body).hexdigest() != record["sha256"]:
        yield f"I4: {record['key']} is not what was accepted"
    if (rows := rows_of(version.body)) != content.rows:
        yield f"I4: {record['key']} holds {len(rows)} rows, {content.name} has {len(content.rows)} good ones"
    if int(record["rows"]) != len(content.rows):
        yield f"I4: {record['key']} counts {record['rows']} rows, expected {len(content.rows)}"


def _quarantined(world: World) -> Iterator[str]:
    """Every bad content lies in the quarantine with its reason."""
    entries = _records(world, "quarantine#")
    for push in _pushes(world):
        if push.verdict != "quarantined" or push.withdrawn is not None:
            continue
        name = push.content.name
        mine = [entry for entry in entries if entry["id"] == push.content.sha256[:16]]
        if push.model in world.specs:
            mine = [entry for entry in mine if entry["pk"] == push.model]
        if not mine:
            yield f"I4: {name} is bad and has no entry in the quarantine"
            continue
        for entry in mine:
            version = world.s3.current(DATA, entry["key"])
            if version is None or version.body != push.content.body:
                yield f"I4: {entry['key']} is not what was pushed as {name}"
            if world.s3.current(DATA, entry["key"] + ".reason.json") is None:
                yield f"I4: {entry['key']} has no reason beside it"


def _emptied(world: World) -> Iterator[str]:
    """``incoming/`` holds nothing that was settled, but what its owner withdrew and what is ignored."""
    states = {(r["key"], r["version_id"]): r["state"] for r in _records(world, "object#")}
    for version in world.s3.versions(DATA, "incoming/"):
        state = states.get((version.key, version.version_id))
        if state in ("accepted", "duplicate", "quarantined"):
            yield f"I4: {version.key} is {state} and still lies in incoming/"


def _kept(world: World) -> Iterator[str]:
    """What was accepted, quarantined or declared is never removed or changed."""
    first: dict[str, bytes] = {}
    for _, what, bucket, key, version_id in world.s3.log:
        if bucket != DATA or not key.startswith(KEPT):
            continue
        if what != "put":
            yield f"I4: {key} was removed"
            continue
        version = world.s3.version(bucket, key, version_id)
        body = version.body if version else b""
        fixed = key.startswith(("accepted/", "manifests/"))
        if fixed and first.setdefault(key, body) != body:
            yield f"I4: {key} was overwritten with something else"


def _taken_out_safely(world: World) -> Iterator[str]:
    """A version leaves ``incoming/`` only after its content is safe elsewhere, never by a marker of ours."""
    pushes = {(push.key, push.version_id): push for push in world.facts.pushes}
    safe: set[tuple[str, str]] = set()
    withdrawn, destroyed = set(world.facts.marked), set(world.facts.destroyed)
    for at, what, bucket, key, version_id in world.s3.log:
        if bucket != DATA:
            continue
        if what == "put" and key.startswith(("accepted/", "quarantine/")):
            version = world.s3.version(bucket, key, version_id)
            if version is not None:
                safe.add((key.partition("/")[0], _identity(version.body, key)))
        if what == "mark" and (key, at) not in withdrawn:
            yield f"I4: {key} got a delete marker that nobody asked for"
        if what == "delete" and key.startswith("incoming/"):
            push = pushes.get((key, version_id))
            if push is None or (key, version_id, at) in destroyed:
                continue
            content = push.content
            place = "accepted" if push.is_good else "quarantine"
            rows = _rows_identity(content.rows) if push.is_good else _identity(content.body, "")
            if push.verdict in ("accepted", "quarantined") and (place, rows) not in safe:
                yield f"I4: {key} was taken out of incoming/ before its content was safe"


def _dead_letters(world: World) -> Iterator[str]:
    """Nothing stays in the dead letters, but what never was ours; and that is all there."""
    for name in ("intake-dead", "dispatch-dead"):
        bodies = [message.body for message in world.queues[name].messages]
        for body in bodies:
            if body not in world.facts.forged:
                yield f"I4: a message ended in {name}: {body[:200]}"
    dead = Counter(message.body for message in world.queues["intake-dead"].messages)
    for body in world.facts.forged:
        if not dead[body]:
            yield f"I4: a forged message vanished: {body[:200]}"


# I1 and I5: trainings.


def _trained_once(world: World) -> Iterator[str]:
    for model in world.specs:
        succeeded = world.succeeded(model)
        counted: dict[str, Counter[Any]] = {
            "data version": Counter(run.input["data_version"] for run in succeeded),
            "set of files": Counter(frozenset(listed(world, run)) for run in succeeded),
        }
        for what, ids in counted.items():
            for one, count in ids.items():
                if count > 1 and not world.facts.forced:
                    shown = one if isinstance(one, str) else sorted(one)
                    yield f"I1: {what} {shown} was trained on {count} times"
        packages = Counter(
            package.properties["data_version"]
            for package in world.sagemaker.packages.values()
            if f"/{PREFIX}-{model}/" in package.arn
        )
        for version, count in packages.items():
            if count > 1 and not world.facts.forced:
                yield f"I1: {count} packages of data version {version}"
        records = {record["run_id"] for record in _records(world, "run#", model)}
        for run in world.runs(model):
            if run.name not in records:
                yield f"I4: run {run.name} is in no record"


def _never_less(world: World) -> Iterator[str]:
    """A later training is on all rows of the earlier ones, unless the window left them behind."""
    for model, spec in world.specs.items():
        if spec.training.window != "all" or _records(world, "forget#", model):
            continue
        before: frozenset[str] = frozenset()
        for run in world.runs(model):
            now = frozenset(listed(world, run))
            if before - now:
                yield f"I5: run {run.name} lists {len(before - now)} files less than the one before"
            before = now


def _manifests(world: World) -> Iterator[str]:
    """What a run reads is there, is data of its model, and counted right."""
    for model in world.specs:
        for run in world.runs(model):
            keys = listed(world, run)
            for key in keys:
                if not key.startswith(f"accepted/{model}/") or world.s3.current(DATA, key) is None:
                    yield f"I4: run {run.name} lists {key}"
            if len(set(keys)) != len(keys) or run.input["files"] != len(keys):
                yield f"I4: run {run.name} counts {run.input['files']} files and lists {len(keys)}"
            recorded = _recorded(world, model, run.started)
            for key in set(keys) - recorded:
                yield f"I4: run {run.name} lists {key}, which was not recorded as data then"
            bodies = [world.s3.current(DATA, key) for key in keys]
            rows = sum(len(rows_of(version.body)) for version in bodies if version)
            if run.input["rows"] != rows:
                yield f"I4: run {run.name} counts {run.input['rows']} rows, its files hold {rows}"
            uri = run.input["data_version_uri"]
            if world.s3.current(DATA, uri.removeprefix(f"s3://{DATA}/")) is None:
                yield f"I4: run {run.name} names {uri}, which is not there"


def _recorded(world: World, model: str, at: float) -> set[str]:
    """Keys that the ledger had as data at some time; the seed's from the beginning."""
    found = {seed_key for seed_key in world.s3.keys(DATA, f"accepted/{model}/") if "-seed." in seed_key}
    for when, _, (pk, sk), item in world.dynamodb.log:
        if when <= at and pk == model and sk.startswith("data#") and item:
            found.add(item["key"]["S"])
    return found


def _newest(world: World) -> Iterator[str]:
    """At rest, the last successful training is on everything that is accepted, or a limit says why not."""
    for model, spec in world.specs.items():
        records = [r for r in _records(world, "data#", model) if r["state"] == "active"]
        keys = counting(world, model, {record["key"] for record in records})
        new = {key for key in keys if not key.endswith("-seed.csv")}
        running = [run for run in world.runs(model) if run.status == "RUNNING"]
        if running:
            yield f"I5: {model}: run {running[0].name} still goes on"
        for record in _records(world, "run#", model):
            if record["state"] not in ("succeeded", "failed"):
                yield f"I4: {model}: run {record['run_id']} is still {record['state']}"
        if not new:
            if world.runs(model):
                yield f"I5: {model} was trained though there is no new data"
            continue
        succeeded = world.succeeded(model)
        last = frozenset(listed(world, succeeded[-1])) if succeeded else frozenset()
        if spec.training.window == "all":
            is_newest = last == keys
        else:
            is_newest = _covers(world, spec.training.window, last, keys)
        if not is_newest and not _held_rightly(world, model):
            missing = sorted(keys - last)[:3]
            yield f"I5: {model}: the last training lacks {len(keys - last)} accepted files, such as {missing}"


def _covers(world: World, window: str, last: frozenset[str], keys: Iterable[str]) -> bool:
    """Whether the files of the last training hold every row that the window reaches."""
    hours: dict[int, set[str]] = {}
    for key in keys:
        version = world.s3.current(DATA, key)
        for hour in rows_of(version.body) if version else ():
            hours.setdefault(hour, set()).add(key)
    number, unit = window.split()
    newest = sorted(hours, reverse=True)
    wanted = (
        newest[: int(number)] if unit == "rows" else [h for h in newest if h >= newest[0] - int(number) * 24]
    )
    return all(hours[hour] & last for hour in wanted)


def _held_rightly(world: World, model: str) -> bool:
    """Whether a limit that only a person can lift keeps the newest data from being trained on."""
    plan = next(iter(_records(world, "plan", model)), {})
    rule = (plan.get("held") or {}).get("rule")
    if rule == "attempts":
        failed = Counter(run.input["data_version"] for run in world.runs(model) if run.status != "SUCCEEDED")
        return max(failed.values(), default=0) >= MAX_ATTEMPTS
    if rule == "max_usd_per_month":
        return _worst(world, model) > world.specs[model].triggers.max_usd_per_month
    return False


def _promptly(world: World, expected: Expectation) -> Iterator[str]:
    """The first training begins when nothing has arrived for the quiet period, not at some later sweep."""
    for model, spec in world.specs.items():
        runs = world.runs(model)
        pushed = [push.at for push in _pushes(world) if push.model == model and runs]
        before = [at for at in pushed if at <= runs[0].started] if runs else []
        if not expected.prompt or not before or _has_manifests(world, model):
            continue
        late = runs[0].started - max(before) - spec.triggers.quiet_seconds
        if late > PROMPT_SECONDS:
            yield f"I5: {model}: the first training began {late:.0f} s later than it could"


# I7: spending.


def _spending(world: World) -> Iterator[str]:
    for model in world.specs:
        runs = world.runs(model)
        for one, two in itertools.pairwise(runs):
            if one.ended is None or two.started < one.ended:
                yield f"I7: run {two.name} began while {one.name} went on"
        tries = Counter(run.input["data_version"] for run in runs)
        if not world.facts.forced:
            yield from _pace(world, model)
            for version, count in tries.items():
                if count > MAX_ATTEMPTS:
                    yield f"I7: data version {version} was tried {count} times"
            yield from _money(world, model)


def _pace(world: World, model: str) -> Iterator[str]:
    """The times when executions really began."""
    limits = world.specs[model].triggers
    starts = sorted(run.started for run in world.runs(model))
    for one, two in itertools.pairwise(starts):
        if two - one < limits.cooldown_seconds:
            yield f"I7: two runs of {model} began within {two - one:.0f} s, the cool-down is longer"
    for place, start in enumerate(starts):
        day = [other for other in starts[: place + 1] if start - other < DAY]
        if len(day) > limits.max_per_day:
            yield f"I7: {len(day)} runs of {model} within 24 hours, at most {limits.max_per_day}"


def _money(world: World, model: str) -> Iterator[str]:
    """What the jobs of a calendar month did cost, and what the next one could, stays below the ceiling."""
    most = world.specs[model].triggers.max_usd_per_month
    spent: dict[tuple[int, int], float] = {}
    for run in world.runs(model):
        started = datetime.fromtimestamp(run.started, UTC)
        month = (started.year, started.month)
        before = spent.get(month, 0.0)
        if before + _worst(world, model) > most + 1e-3:
            yield f"I7: run {run.name} began when {before:.2f} of {most:.2f} USD were spent"
        job = world.sagemaker.jobs.get(f"{PREFIX}-{model}-{run.name}")
        seconds = job["BillableTimeInSeconds"] if job else 0
        spent[month] = before + seconds / 3600 * _price(world, model)


def _price(world: World, model: str) -> float:
    spec = world.specs[model]
    given = spec.triggers.usd_per_hour
    return given if given is not None else usd_per_hour(spec.training.instance_type) or 0.0


def _worst(world: World, model: str) -> float:
    return _price(world, model) * world.specs[model].training.max_runtime_seconds / 3600


# What people are told.


def _told(world: World, expected: Expectation) -> Iterator[str]:
    texts = [f"{subject}\n{text}" for _, subject, text in world.sns.published]
    for entry in _records(world, "quarantine#"):
        told = sum(entry["id"] in text for text in texts if text.startswith(f"{PREFIX}-{entry['pk']}: "))
        if entry["state"] == "open" and not told:
            yield f"Told: nobody heard of {entry['name']}"
        if told > int(entry.get("seen", 1)) and not expected.crashes:
            yield f"Told: people heard {told} times of {entry['name']}, seen {entry.get('seen', 1)} times"
    for model in world.specs:
        held = [text for text in texts if f"{PREFIX}-{model}: training held back" in text]
        if not expected.crashes and len(set(held)) != len(held):
            yield f"Told: people heard twice of one hold of {model}"


# What is needed above.


def listed(world: World, run: Execution) -> list[str]:
    """The keys in the manifest of a run."""
    key = run.input["manifest_uri"].removeprefix(f"s3://{DATA}/")
    version = world.s3.current(DATA, key)
    if version is None:
        return []
    head, *keys = json.loads(version.body)
    assert head == {"prefix": f"s3://{DATA}/"}
    return keys


def counting(world: World, model: str, keys: set[str]) -> frozenset[str]:
    """The keys of accepted files that are data by now: all, or those of complete deliveries."""
    if not _has_manifests(world, model):
        return frozenset(keys)
    mine = [push for push in _pushes(world) if push.model == model]
    states = {(r["key"], r["version_id"]): r["state"] for r in _records(world, "object#", model)}
    seen = ("accepted", "duplicate", "quarantined")
    pushed = {push.key for push in mine if states.get((push.key, push.version_id)) in seen}
    complete: set[str] = set()
    for push in mine:
        if push.verdict == "manifest":
            folder = push.key.rpartition("/")[0]
            listing = json.loads(push.content.body)["files"]
            files = {f"{folder}/{one['name'] if isinstance(one, dict) else one}" for one in listing}
            complete |= files if files <= pushed else set()
    contents = {push.content.sha256 for push in mine if push.key in complete}
    records = [r for r in _records(world, "data#", model) if r["key"] in keys]
    return frozenset(
        record["key"]
        for record in records
        if record["key"].endswith("-seed.csv") or record["sk"].removeprefix("data#") in contents
    )


def _has_manifests(world: World, model: str) -> bool:
    return model in world.specs and world.specs[model].triggers.delivery == "manifest"


def _pushes(world: World) -> list[Push]:
    return world.facts.pushes


def _records(world: World, start: str, model: str | None = None) -> list[dict[str, Any]]:
    """Items of the ledger as plain data."""
    found = []
    for (pk, sk), item in sorted(world.dynamodb.tables[LEDGER].items()):
        if sk.startswith(start) and model in (None, pk):
            found.append({name: _plain(value) for name, value in item.items()})
    return found


def _plain(value: dict[str, Any]) -> Any:
    ((kind, held),) = value.items()
    if kind == "N":
        return float(held) if "." in held or "e" in held.lower() else int(held)
    if kind == "M":
        return {name: _plain(one) for name, one in held.items()}
    if kind == "L":
        return [_plain(one) for one in held]
    return None if kind == "NULL" else held


def _identity(body: bytes, key: str) -> str:
    """What a copy in ``accepted/`` or ``quarantine/`` is a copy of."""
    if key.startswith("accepted/"):
        return _rows_identity(rows_of(body))
    return hashlib.sha256(body).hexdigest()


def _rows_identity(rows: frozenset[int]) -> str:
    return " ".join(map(str, sorted(rows)))


@cache
def rows_of(body: bytes) -> frozenset[int]:
    """The hours in an accepted file, read by another path than the intake's."""
    import duckdb

    if not body.startswith(b"PAR1"):
        lines = body.decode().splitlines()[1:]
        return frozenset(hour_of(line.partition(",")[0]) for line in lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "accepted.parquet"
        path.write_bytes(body)
        found = duckdb.sql(
            f"SELECT strftime(\"at\", '%Y-%m-%dT%H:%M:%S') FROM read_parquet('{path}')"
        ).fetchall()
    hours = [hour_of(text) for (text,) in found]
    assert len(set(hours)) == len(hours), "a row is in the file twice"
    return frozenset(hours)
