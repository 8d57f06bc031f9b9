"""The whole way of data in one process and on virtual time: buckets, ledger, queues, functions, executions.

The functions are the real ones. What is around them is made here: S3's events, queues that hand messages to
functions, the clock, the sweeps, executions that end, people who push and delete. See ``nemesis`` for what
goes wrong and ``checker`` for what must hold all the same.
"""

from __future__ import annotations

import heapq
import importlib
import json
import logging
import os
import random
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest import mock

from models.spec import ModelSpec
from tests.faults import account as accounts
from tests.faults import contents, shortcuts
from tests.faults.account import ACCOUNT, REGION, Account, Call, Clock
from tests.faults.contents import Content
from tests.faults.dynamodb import DynamoDB
from tests.faults.lanes import Lane
from tests.faults.machines import Execution, Package, SageMaker, States
from tests.faults.nemesis import FAIL, PROMOTE, Nemesis
from tests.faults.queues import SNS, SQS, Message, Queue
from tests.faults.s3 import S3, Version

PREFIX = "upkeep-test"
DATA, ARTIFACTS = f"{PREFIX}-data-{ACCOUNT}", f"{PREFIX}-artifacts-{ACCOUNT}"
LEDGER = f"{PREFIX}-ledger"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:{PREFIX}-alerts"
# A Tuesday in the middle of a month: the month's money does not start anew by itself.
BEGIN = datetime(2024, 9, 10, 12, 0, 0, tzinfo=UTC).timestamp()
SWEEP_SECONDS = 300.0
HOUR, DAY = 3600.0, 86400.0
CLIENTS = ("s3", "dynamodb", "sqs", "sns", "stepfunctions", "sagemaker")
QUIET_SWEEPS = 2


@dataclass(frozen=True)
class Function:
    """A function and the queue that calls it, as infra/ deploys them."""

    name: str
    module: str
    timeout_seconds: float
    concurrency: int
    max_receives: int
    batch: int = 10


FUNCTIONS = (
    Function("intake", "training.intake.handler", 900.0, 10, 5),
    Function("dispatch", "training.dispatch.handler", 120.0, 2, 5),
)


@dataclass
class Push:
    """One version that somebody put below ``incoming/``.

    Attributes:
        told: Whether S3's event of it was given to anybody.
        withdrawn: When its owner removed it, or put a delete marker on it.
        unknown_model: Its folder is that of no model.
    """

    model: str
    key: str
    version_id: str
    content: Content
    at: float
    told: bool = True
    withdrawn: float | None = None
    unknown_model: bool = False

    @property
    def verdict(self) -> str:
        """What must become of it."""
        return contents.QUARANTINED if self.unknown_model else self.content.verdict

    @property
    def is_good(self) -> bool:
        """Whether it must be accepted."""
        return self.verdict == contents.ACCEPTED


@dataclass
class Invocation:
    """A running call of a function with the messages it holds."""

    function: Function
    lane: Lane
    messages: list[Message]


@dataclass
class Facts:
    """What happened, for the checker.

    Attributes:
        pushes: All that people did put below ``incoming/``.
        raised: Errors that functions ended with.
        replays: How often dead letters were sent back.
        metrics: (time, model, values) of every metric that was written.
        forced: When a person asked for a training.
        forged: Bodies of messages that are not of this account.
        marked: Delete markers that people put: (key, time).
        destroyed: Versions that people removed for good: (key, version id, time).
        lanes: How many calls of functions there were, and the attempts of each.
    """

    pushes: list[Push] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    replays: int = 0
    metrics: list[tuple[float, str, dict[str, float]]] = field(default_factory=list)
    forced: list[float] = field(default_factory=list)
    forged: list[str] = field(default_factory=list)
    marked: list[tuple[str, float]] = field(default_factory=list)
    destroyed: list[tuple[str, str, float]] = field(default_factory=list)
    lanes: list[tuple[str, int]] = field(default_factory=list)


class World:
    """One account with the stack in it; use it as a context.

    Attributes:
        clock: Virtual time.
        nemesis: What goes wrong.
        facts: What happened.
    """

    def __init__(
        self,
        nemesis: Nemesis | None = None,
        *,
        specs: Sequence[ModelSpec] = (),
        seed: int = 0,
        interleave: float = 0.0,
        seeded: bool = True,
    ) -> None:
        self.clock = Clock(BEGIN)
        self.nemesis = nemesis or Nemesis()
        self.nemesis.begin = BEGIN
        self.specs = {spec.name: spec for spec in specs or (contents.spec(),)}
        self.random = random.Random(seed)
        self.interleave = interleave
        self.facts = Facts()
        self.s3, self.dynamodb, self.sqs = S3(self.clock), DynamoDB(self.clock), SQS(self.clock)
        self.sns, self.states, self.sagemaker = SNS(self.clock), States(self.clock), SageMaker()
        services = dict(
            zip(
                CLIENTS,
                (self.s3, self.dynamodb, self.sqs, self.sns, self.states, self.sagemaker),
                strict=True,
            )
        )
        self.account = Account(self.clock, services)  # type: ignore[arg-type]
        self.account.fates = self.nemesis
        self.account.switch = self._switch
        self.account.backoff = lambda attempt: self.random.uniform(0.0, min(2.0**attempt, 20.0))
        self.queues: dict[str, Queue] = {}
        self.running: list[Invocation] = []
        self._timers: list[tuple[float, float, int, Callable[[], None]]] = []
        self._count = 0
        self._seeded = seeded
        self._patches: list[Any] = []
        self._idle = True
        self._furnish()

    # Life.

    def __enter__(self) -> World:
        from training import aws, clock

        environment = {
            "PREFIX": PREFIX,
            "DATA_BUCKET": DATA,
            "ARTIFACTS_BUCKET": ARTIFACTS,
            "LEDGER_TABLE": LEDGER,
            "DISPATCH_QUEUE_URL": self.queues["dispatch"].url,
            "INTAKE_QUEUE_URL": self.queues["intake"].url,
            "ALERTS_TOPIC_ARN": TOPIC,
            "MAX_RECEIVES": str(FUNCTIONS[0].max_receives),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "POWERTOOLS_SERVICE_NAME": "anything",
        }
        os.environ.pop("AWS_ENDPOINT_URL", None)
        self._patches = [
            mock.patch.dict(os.environ, environment),
            mock.patch.object(clock, "now", self.clock),
            mock.patch.object(clock, "sleep", self._sleep),
            mock.patch("monitoring.metrics.emit", self._measured),
        ]
        handlers = [importlib.import_module(function.module) for function in FUNCTIONS]
        assert all(callable(module.handler) for module in handlers)
        check = importlib.import_module("training.contract.check")
        self._patches += [
            mock.patch.object(check, "check_file", shortcuts.remembered(check.check_file)),
            mock.patch("training.outputs.parse", shortcuts.parse),
            mock.patch.object(tempfile, "tempdir", shortcuts.in_memory()),
        ]
        self._patches += [
            mock.patch.object(module, "ThreadPoolExecutor", shortcuts.InlinePool)
            for name, module in list(sys.modules.items())
            if name.startswith(("training.intake", "training.dispatch"))
            and hasattr(module, "ThreadPoolExecutor")
        ]
        for patch in self._patches:
            patch.start()
        logging.disable(logging.CRITICAL)
        for name in CLIENTS:
            accounts.attach(aws.client(name))
        accounts.enter(self.account)
        self._at(self.clock.now + SWEEP_SECONDS, self._sweep)
        return self

    def __exit__(self, *_: object) -> None:
        from training import aws

        for call in self.running:
            call.lane.kill()
        accounts.enter(None)
        for name in CLIENTS:
            accounts.detach(aws.client(name))
        logging.disable(logging.NOTSET)
        for patch in reversed(self._patches):
            patch.stop()

    # People.

    def push(self, content: Content, name: str = "", model: str = contents.MODEL) -> Push:
        """Put a file below ``incoming/<model>/``."""
        key = f"incoming/{model}/{name or content.name}"
        version = self.s3.put(DATA, key, content.body)
        push = self.facts.pushes[-1]
        assert push.version_id == version.version_id
        push.content, push.model = content, model
        return push

    def mark(self, key: str) -> Push:
        """Put an empty object that ends in a slash, as consoles do to show a folder."""
        self.s3.put(DATA, key, b"")
        push = self.facts.pushes[-1]
        push.content = Content(key, b"", verdict="ignored")
        return push

    def withdraw(self, push: Push) -> None:
        """Delete as people do: the bucket keeps the version below a delete marker."""
        self.s3.delete(DATA, push.key)
        self.facts.marked.append((push.key, self.clock.now))
        for other in self.facts.pushes:
            if other.key == push.key and other.withdrawn is None:
                other.withdrawn = self.clock.now

    def destroy(self, push: Push) -> None:
        """Delete the version for good."""
        self.facts.destroyed.append((push.key, push.version_id, self.clock.now))
        self.s3.delete(DATA, push.key, push.version_id)
        push.withdrawn = push.withdrawn or self.clock.now

    def tell(self, push: Push, copies: int = 1, delay_seconds: float = 0.0) -> None:
        """Deliver the event of a push (again)."""
        version = Version(push.key, push.version_id, push.content.body, push.at)
        event = _created(DATA, version, "PutObject", self._next())
        for _ in range(copies):
            self.send("intake", event, delay_seconds)

    def force(self, model: str = contents.MODEL) -> None:
        """Ask for a training past the limits, as ``upkeep runs start --force`` does."""
        from training import aws
        from training.ledger.table import Ledger

        self.facts.forced.append(self.clock.now)
        Ledger(aws.client("dynamodb"), LEDGER).force(model, "a person")
        self.send("dispatch", {"model": model, "why": "forced"})

    def replay(self) -> int:
        """Send all dead letters back to where they came from, but those that never were ours."""
        count = 0
        for name in ("intake", "dispatch"):
            queue, dead = self.queues[name], self.queues[f"{name}-dead"]
            for message in list(dead.messages):
                if message.body in self.facts.forged:
                    continue
                dead.messages.remove(message)
                queue.add(self.sqs.message(message.body))
                count += 1
        self.facts.replays += count
        return count

    def send(self, queue: str, body: Mapping[str, Any] | str, delay_seconds: float = 0.0) -> Message:
        """Put a message into a queue, past the nemesis."""
        text = body if isinstance(body, str) else json.dumps(body)
        message = self.sqs.message(text, delay_seconds)
        self.queues[queue].add(message)
        return message

    def forge(self, body: Mapping[str, Any] | str) -> None:
        """Send what is not of this account to the intake."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.facts.forged.append(text)
        self.send("intake", text)

    def at(self, seconds: float, action: Callable[[], Any]) -> None:
        """Do something so many seconds from now."""
        self._at(self.clock.now + seconds, action)

    # Time.

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self._until(self.clock.now + seconds)

    def settle(self, *, replays: int = 3, patience: int = 200) -> None:
        """Let nothing go wrong any more, and wait until nothing happens any more.

        Raises:
            AssertionError: Something goes on for ever.
        """
        self.nemesis.calm = True
        for _ in range(replays + 1):
            self._rest(patience)
            if not self.replay():
                return
        raise AssertionError(f"still dead letters after {replays} replays: {self._dead()}")

    def _rest(self, patience: int) -> None:
        quiet = 0
        for _ in range(patience):
            before = self._pulse()
            self._until(self.clock.now + SWEEP_SECONDS)
            # Messages may sleep for hours until they are handed out again.
            coming = [m.visible_at for q in self._live() for m in q.messages]
            coming += [at for at, _, _, action in self._timers if action != self._sweep]
            coming += self._held_until() + self._turns() + self._deadlines()
            # What was due just now shows at the sweep after it.
            just_due = any(0 <= self.clock.now - due <= SWEEP_SECONDS for due in coming)
            coming = [due for due in coming if due > self.clock.now]
            changed = before != self._pulse() or bool(self.running) or just_due
            quiet = 0 if changed else quiet + 1
            if quiet >= QUIET_SWEEPS and coming:
                self._jump(min(coming))
                quiet = 0
            elif quiet >= QUIET_SWEEPS:
                return
        raise AssertionError(
            f"the world does not come to rest: {len(self.running)} calls run, "
            f"{[(q.name, len(q.messages)) for q in self._live()]} wait, held until {self._held_until()}"
        )

    def _jump(self, to: float) -> None:
        """Skip the sweeps of a time when nothing can happen."""
        if to <= self.clock.now:
            return
        self.clock.now = to
        self._timers = [timer for timer in self._timers if timer[3] != self._sweep]
        heapq.heapify(self._timers)
        self._at(to, self._sweep)

    def _held_until(self) -> list[float]:
        """When holds end by themselves."""
        found = []
        for model in self.specs:
            plan = self.item(model, "plan")
            until = plan.get("held", {}).get("M", {}).get("until", {}).get("N") if plan else None
            if until is not None:
                found.append(float(until))
        return found

    def _turns(self) -> list[float]:
        """When sweeps tell of what is overlooked: at ages that double."""
        found = []
        for push in self.facts.pushes:
            item = self.dynamodb.tables[LEDGER].get((push.model, f"object#{push.key}#{push.version_id}"))
            unsettled = item is None or item["state"]["S"] == "claimed"
            if unsettled and self.s3.version(DATA, push.key, push.version_id):
                turns = [push.at + 900.0 * 2**k + 1.0 for k in range(8)]
                found += turns
        return found

    def _deadlines(self) -> list[float]:
        """When people must hear of deliveries that are not complete."""
        found = []
        for model, spec in self.specs.items():
            for item in self.dynamodb.items(LEDGER, model, "delivery#"):
                if item["state"]["S"] == "open":
                    due = float(item["first_at"]["N"]) + spec.triggers.manifest_deadline_seconds
                    found.append(due)
        return found

    def _pulse(self) -> tuple[int, ...]:
        """Changes whenever something was done that a sweep alone does not do."""
        writes = [key for _, _, key, _ in self.dynamodb.log if key[1] != "plan"]
        sent = len(self.queues["intake"].all) + len(self.states.executions) + len(self.sns.published)
        waiting = sum(len(queue.messages) for queue in self._live())
        ended = sum(execution.ended is not None for execution in self.states.executions.values())
        return len(writes), sent, waiting, ended, len(self.s3.log)

    def _live(self) -> list[Queue]:
        return [self.queues["intake"], self.queues["dispatch"]]

    def _dead(self) -> list[str]:
        dead = [self.queues["intake-dead"], self.queues["dispatch-dead"]]
        return [message.body for queue in dead for message in queue.messages]

    def _until(self, end: float) -> None:
        while True:
            self._ring()
            if choices := self._choices():
                self.random.choice(choices)()
                continue
            coming = [at for at, *_ in self._timers[:1]]
            coming += [call.lane.wake_at for call in self.running]
            for function in FUNCTIONS:
                if self._has_room(function):
                    coming += [message.visible_at for message in self.queues[function.name].messages]
            soonest = min(coming, default=end)
            if soonest > end:
                self.clock.now = max(self.clock.now, end)
                return
            self.clock.now = max(self.clock.now, soonest)

    def _ring(self) -> None:
        while self._timers and self._timers[0][0] <= self.clock.now:
            heapq.heappop(self._timers)[3]()

    def _at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (when, self.random.random(), self._next(), action))

    def _next(self) -> int:
        self._count += 1
        return self._count

    # Functions.

    def _choices(self) -> list[Callable[[], None]]:
        now = self.clock.now
        found: list[Callable[[], None]] = [
            lambda call=call: self._resume(call)  # type: ignore[misc]
            for call in self.running
            if call.lane.wake_at <= now
        ]
        for function in FUNCTIONS:
            if self._has_room(function):
                ready = [m for m in self.queues[function.name].messages if m.visible_at <= now]
                if ready:
                    found.append(lambda f=function, r=ready: self._begin(f, r))  # type: ignore[misc]
        return found

    def _has_room(self, function: Function) -> bool:
        return sum(call.function is function for call in self.running) < function.concurrency

    def _begin(self, function: Function, ready: list[Message]) -> None:
        """Hand a batch to a new call of the function."""
        queue = self.queues[function.name]
        self.random.shuffle(ready)
        most = min(function.batch, len(ready))
        taken = ready[: most if self.nemesis.calm else self.random.randint(1, most)]
        messages = [message for message in taken if queue.receive(message, self.clock.now)]
        for message in messages:
            if not self.nemesis.calm and self.nemesis.chance(
                self.nemesis.redelivers, "redelivers", message.message_id, message.receives
            ):
                message.visible_at = self.clock.now + self.random.uniform(0.0, 2.0)
        if not messages:
            return
        event = {"Records": [queue.record(message) for message in messages]}
        deadline = self.clock.now + function.timeout_seconds
        name = f"{function.name}-{self._next()}"
        context = SimpleNamespace(
            invoked_function_arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{PREFIX}-{function.name}",
            function_name=f"{PREFIX}-{function.name}",
            memory_limit_in_mb=1769,
            aws_request_id=name,
            get_remaining_time_in_millis=lambda: int(1000 * max(deadline - self.clock.now, 0)),
        )
        handler = importlib.import_module(function.module).handler
        alone = None if self.interleave else self._skip_to
        lane = Lane(name, lambda: handler(event, context), deadline, alone=alone)
        call = Invocation(function, lane, messages)
        self.running.append(call)
        self._resume(call)

    def _resume(self, call: Invocation) -> None:
        self.account.lane = call.lane
        try:
            call.lane.resume()
        finally:
            self.account.lane = None
        if call.lane.ended:
            self.running.remove(call)
            self._finish(call)

    def _finish(self, call: Invocation) -> None:
        """What the platform does with the messages of a call that has ended."""
        lane, queue = call.lane, self.queues[call.function.name]
        self.facts.lanes.append((lane.name, lane.calls))
        if lane.error is not None:
            if isinstance(lane.error, (Exception, AssertionError)):
                self.facts.raised.append(f"{lane.name}: {type(lane.error).__name__}: {lane.error}")
            return
        failed = {item["itemIdentifier"] for item in (lane.result or {}).get("batchItemFailures", [])}
        known = {message.message_id for message in call.messages}
        assert failed <= known, f"{lane.name} reports messages it never had: {failed - known}"
        gone = [message for message in call.messages if message.message_id not in failed]
        queue.messages = [message for message in queue.messages if message not in gone]

    def _switch(self, call: Call) -> bool:
        """Whether another call may go on before this one's request is made."""
        return bool(self.interleave) and self.random.random() < self.interleave

    def _skip_to(self, until: float) -> None:
        self.clock.now = max(self.clock.now, until)

    def _sleep(self, seconds: float) -> None:
        lane = self.account.lane
        if lane is not None and threading.current_thread() is lane.thread:
            lane.pause(self.clock.now + seconds)
        else:
            self.clock.now += seconds

    # Events.

    def _furnish(self) -> None:
        self.s3.buckets = {DATA: {}, ARTIFACTS: {}}
        self.dynamodb.tables = {LEDGER: {}}
        for function in FUNCTIONS:
            dead = Queue(f"{PREFIX}-{function.name}-dead", 30.0)
            queue = Queue(
                f"{PREFIX}-{function.name}", 6 * function.timeout_seconds, function.max_receives, dead
            )
            self.queues |= {function.name: queue, f"{function.name}-dead": dead}
            self.sqs.queues |= {queue.url: queue, dead.url: dead}
        for model, spec in self.specs.items():
            self.s3.put(ARTIFACTS, f"specs/{model}.json", spec.to_json().encode())
            self.states.machines |= {f"{PREFIX}-{model}-retrain", f"{PREFIX}-{model}-release"}
            if self._seeded:
                self._plant(spec)
        self.s3.log.clear()
        self.s3.written = self._written
        self.sqs.sent = self._sent
        self.states.started = self._started

    def _plant(self, spec: ModelSpec) -> None:
        """The seed's object and record, as the deployment makes them."""
        from infra.seed import Seed

        content = contents.seed()
        first, last = contents.time_of(min(content.rows)), contents.time_of(max(content.rows))
        seed = Seed(content=content.body, first=first, last=last)
        made = self.s3.put(DATA, seed.key(spec.name), seed.content, metadata=seed.facts)
        item: dict[str, Any] = seed.record(spec, made.version_id).to_item()
        self.dynamodb.tables[LEDGER][item["pk"]["S"], item["sk"]["S"]] = item

    def _written(self, bucket: str, version: Version, reason: str) -> None:
        if bucket != DATA or not version.key.startswith("incoming/"):
            return
        unknown = Content(version.key.rpartition("/")[2], version.body, verdict="unknown")
        model = version.key.split("/")[1]
        push = Push(model, version.key, version.version_id, unknown, self.clock.now)
        push.unknown_model = model not in self.specs
        self.facts.pushes.append(push)
        what = f"{version.key} {version.version_id}"
        if self.nemesis.loses(what, self.nemesis.lost):
            push.told = False
            return
        self._deliver("intake", what, json.dumps(_created(bucket, version, reason, self._next())))

    def _deliver(self, queue: str, what: str, body: str, delay_seconds: float = 0.0) -> None:
        """Put a message into a queue the way the nemesis wants it: several times, late."""
        copies = self.nemesis.copies(what)
        for copy in range(copies if queue == "intake" else min(copies, 4)):
            late = delay_seconds + self.nemesis.delay(what, copy)
            self.queues[queue].add(self.sqs.message(body, late))

    def _sent(self, queue: Queue, message: Message) -> None:
        queue.add(message)
        # Each of ours leads to a look at a whole model: a few copies show what fifty would.
        for copy in range(1, min(self.nemesis.copies(message.message_id), 4)):
            late = message.visible_at - self.clock.now + self.nemesis.delay(message.message_id, copy)
            queue.add(self.sqs.message(message.body, late))

    def _sweep(self) -> None:
        self._at(self.clock.now + SWEEP_SECONDS, self._sweep)
        waiting = [message for message in self.queues["dispatch"].messages if "Scheduled" in message.body]
        if len(waiting) >= FUNCTIONS[1].batch:
            return  # a long outage: more of the same would only slow the test
        event = {
            "version": "0",
            "id": str(self._next()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT,
            "time": datetime.fromtimestamp(self.clock.now, UTC).isoformat(),
            "region": REGION,
            "resources": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{PREFIX}-sweep"],
            "detail": {},
        }
        self.send("dispatch", event)

    def _measured(self, stack: str, model: str, values: Mapping[str, float]) -> None:
        self.facts.metrics.append((self.clock.now, model, dict(values)))

    # Executions.

    def _started(self, execution: Execution) -> None:
        seconds = 60.0 + 840.0 * self.nemesis.throw("takes", execution.name)
        self.at(seconds, lambda: self._end(execution))

    def _end(self, execution: Execution) -> None:
        """A training ends, and what follows from it."""
        run, ending = execution.input, self.nemesis.ending(execution.name, execution.input["data_version"])
        model = run["model"]
        job = f"{PREFIX}-{model}-{run['run_id']}"
        execution.ended = self.clock.now
        seconds = int(self.clock.now - execution.started)
        described = {
            "TrainingJobName": job,
            "TrainingJobStatus": "Failed" if ending == FAIL else "Completed",
            "BillableTimeInSeconds": seconds,
            "TrainingTimeInSeconds": seconds,
        }
        if ending != FAIL or self.nemesis.chance(0.7, "job", execution.name):
            self.sagemaker.jobs[job] = described
        if ending == FAIL:
            kinds = ("FAILED", "TIMED_OUT", "ABORTED")
            execution.status = kinds[int(self.nemesis.throw("how", execution.name) * 3)]
            execution.error = "TrainingFailed"
        else:
            execution.status = "SUCCEEDED"
            arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/{PREFIX}-{model}/"
            package = Package(
                f"{arn}{len(self.sagemaker.packages) + 1}",
                "Approved" if ending == PROMOTE else "Rejected",
                {"run_id": run["run_id"], "data_version": run["data_version"]},
            )
            self.sagemaker.packages[package.arn] = package
            decision = {
                "decision": ending,
                "approval": package.approval,
                "run_id": run["run_id"],
                "reason": "so it is",
            }
            execution.output = json.dumps(
                {
                    "model": model,
                    "run_id": run["run_id"],
                    "training_job": job,
                    "decision": decision,
                    "model_package_arn": package.arn,
                }
            )
            if ending == PROMOTE:
                self.at(120.0, lambda: self._release(model, package))
        self._announce(execution)

    def _release(self, model: str, package: Package) -> None:
        """The release machine ends: the package serves, or is rejected."""
        if self.nemesis.chance(0.2, "unhealthy", package.arn):
            package.approval = "Rejected"
        else:
            package.properties["release"] = "live"
        execution = Execution(
            f"{PREFIX}-{model}-release", f"release-{self._next()}", "{}", self.clock.now - 100, "SUCCEEDED"
        )
        execution.ended = self.clock.now
        self._announce(execution)

    def _announce(self, execution: Execution) -> None:
        if not self.nemesis.loses(execution.arn, self.nemesis.lost_endings):
            self._deliver("dispatch", execution.arn, json.dumps(self.states.event(execution)))

    # Looking.

    def item(self, model: str, sort_key: str) -> dict[str, Any] | None:
        """An item of the ledger as DynamoDB has it."""
        return self.dynamodb.tables[LEDGER].get((model, sort_key))

    def runs(self, model: str = contents.MODEL) -> list[Execution]:
        """Trainings of a model, in the order they were started."""
        machine = f"{PREFIX}-{model}-retrain"
        return [run for run in self.states.executions.values() if run.machine == machine]

    def succeeded(self, model: str = contents.MODEL) -> list[Execution]:
        """Trainings that succeeded."""
        return [run for run in self.runs(model) if run.status == "SUCCEEDED"]

    def ledger(self) -> Any:
        """The ledger as the functions see it, past the nemesis."""
        from training import aws
        from training.ledger.table import Ledger

        return Ledger(aws.client("dynamodb"), LEDGER)


def _created(bucket: str, version: Version, reason: str, number: int) -> dict[str, Any]:
    """EventBridge's event of a new object.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """
    return {
        "version": "0",
        "id": str(number),
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": ACCOUNT,
        "time": datetime.fromtimestamp(version.modified, UTC).isoformat(timespec="seconds"),
        "region": REGION,
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {
                "key": version.key,
                "size": len(version.body),
                "etag": version.etag.strip('"'),
                "version-id": version.version_id,
                "sequencer": f"{int(version.modified * 1000):016X}",
            },
            "request-id": "C3D13FE58DE4C810",
            "requester": ACCOUNT,
            "source-ip-address": "192.0.2.1",
            "reason": reason,
        },
    }
