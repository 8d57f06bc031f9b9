"""The demo: one sandbox, one deployment, months of real flights, and files that must not get through."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from models.spec import ModelSpec
from sandbox import lifecycle
from sandbox.lifecycle import SandboxInfo
from upkeep import context, data, deliveries, demo_files, follow, quarantine, rows, scoring, serving
from upkeep.aws_source import AwsSource
from upkeep.context import Context
from upkeep.demo_files import DataFile
from upkeep.demo_story import Push, Scored, Story, told
from upkeep.demo_view import DemoView
from upkeep.errors import UpkeepError
from upkeep.follow import Progress, Result
from upkeep.ledger import OperatorLedger, open_ledger

MODEL = "flights"
SCORED_FLIGHTS = 500
FLIGHTS_PER_REQUEST = 25
FOLDER = "flights"
MAX_MONTHS = 11  # the month after the last is the one that is scored and shuffled

SANDBOX_SECONDS = 60.0
FILES_SECONDS = 180.0
DEPLOY_SECONDS = 600.0
PUSH_SECONDS = 300.0

T = TypeVar("T")


@dataclass(frozen=True)
class Deployed:
    """What a deployment made: how many resources."""

    resources: int


# A row that a new version is asked about, to see which version answers.
Asked = dict[str, Any] | None
Deploy = Callable[[SandboxInfo, Callable[[str], None]], Deployed]


@dataclass
class Demo:
    """Tells the story once.

    Attributes:
        port: Where the sandbox listens.
        months: How many months are pushed, from January on.
        keep: Whether the sandbox outlives the demo.
        view: What is told of everything.
        deploy: Applies the Pulumi program to a sandbox; tells the function it is given what it does just now.
    """

    port: int
    months: int
    keep: bool
    view: DemoView
    deploy: Deploy
    story: Story = field(default_factory=Story)

    def run(self) -> Story:
        """Run the whole demo; without `keep`, and whenever something fails, the sandbox is stopped again.

        Raises:
            UpkeepError: A step did not work or took too long.
            SandboxError: The sandbox could not be started.
        """
        began = time.monotonic()
        self.view.title(self.months)
        with ThreadPoolExecutor(1, thread_name_prefix="flights") as pool, self._sandbox() as info:
            folder = info.run_dir / FOLDER  # gone with the sandbox
            folder.mkdir()
            # The table of all flights takes seconds to load, the stack takes longer to come up.
            first = pool.submit(demo_files.month, 1, folder)
            self._deploy(info)
            self._tell(context.load(context.SANDBOX, self.port), first)
            self.story.seconds = time.monotonic() - began
        return self.story

    @contextmanager
    def _sandbox(self) -> Iterator[SandboxInfo]:
        began = time.monotonic()
        with self.view.busy("Sandbox", "starting an AWS on this machine"):
            info = lifecycle.start(
                self.port, detach=self.keep, timeout_seconds=SANDBOX_SECONDS, note=self.view.note
            )
        stay = False
        try:
            self.story.url = info.url
            self.story.sandbox_seconds = time.monotonic() - began
            said = f"an AWS on {info.url}: no account, no Docker, IAM enforced"
            self.view.done("Sandbox", said, self.story.sandbox_seconds)
            yield info
            stay = self.keep
        finally:
            if not stay and lifecycle.find(self.port) is not None:
                with self.view.busy("Sandbox", "stopping"):
                    lifecycle.stop(self.port)

    def _deploy(self, info: SandboxInfo) -> None:
        began = time.monotonic()
        with self.view.busy("Stack", "applying the Pulumi program") as now:
            deployed = _within(DEPLOY_SECONDS, "The deployment", lambda: self.deploy(info, now.doing))
        self.story.resources = deployed.resources
        self.story.deploy_seconds = time.monotonic() - began
        said = f"{deployed.resources} resources by the unmodified Pulumi program; the seed model answers"
        self.view.done("Stack", said, self.story.deploy_seconds)
        self.view.gap()

    def _tell(self, there: Context, first: Future[DataFile]) -> None:
        spec = rows.deployed_spec(there, there.model(MODEL))
        with self.view.busy("Flights", "writing the months as files"):
            january = first.result(FILES_SECONDS)
            files = [january, *(demo_files.month(n, january.path.parent) for n in range(2, self.months + 2))]
            *months, unseen = files
            pushed = [demo_files.as_sent(file, number) for number, file in enumerate(months, 1)]
            broken = [demo_files.in_hours(unseen), demo_files.with_another_name(unseen)]
            shuffled = demo_files.with_shuffled_labels(unseen, spec)
        asked = rows.first_row(january.path, spec)
        self.view.gate(spec)
        for file in pushed:
            self.story.months.append(self._push(there, spec, file, asked))
        self.story.scored = self._score(there, spec, unseen)
        for file in broken:
            self.story.broken.append(self._push(there, spec, file, asked))
        # It keeps the contract, so it stays in the data: nothing is pushed after it.
        self.story.shuffled = self._push(there, spec, shuffled, asked)

    def _push(self, there: Context, spec: ModelSpec, file: DataFile, asked: Asked) -> Push:
        """Push one file and follow it to its end."""
        model = there.model(MODEL)
        before = serving.read_serving(there, model).version
        ledger = open_ledger(there)
        (upload,) = deliveries.plan(model, [file.path], ledger).uploads
        earlier = frozenset(record.run_id for record in ledger.runs(model.name))
        source = AwsSource(there, model, spec, ledger, earlier, asked)
        accepted_after: list[float] = []
        with self.view.busy(file.name, f"uploading {file.path.name}") as now:
            sent = data.send(there, upload, lambda _count: None)

            def show(progress: Progress) -> None:
                if progress.accepted and not accepted_after:
                    accepted_after.append(progress.seconds)
                now.doing(progress.where())

            result = follow.follow(
                source,
                [sent],
                timeout_seconds=PUSH_SECONDS,
                poll_seconds=there.poll_seconds,
                quiet_seconds=spec.triggers.quiet_seconds,
                show=show,
            )
        taken = accepted_after[0] if accepted_after else None
        push = told(file, result, taken, before, _diff(there, ledger, result))
        self.view.pushed(push)
        if result.outcome == follow.TIMEOUT:
            raise UpkeepError(
                f"{file.name}: {result.reason} See `upkeep logs --function intake` and `upkeep runs`."
            )
        return push

    def _score(self, there: Context, spec: ModelSpec, unseen: DataFile) -> Scored:
        """Ask the endpoint about flights whose truth is known."""
        model = there.model(MODEL)
        drawn = demo_files.sample(unseen, SCORED_FLIGHTS)
        version = serving.read_serving(there, model).version
        probabilities: list[float] = []
        began = time.monotonic()
        with self.view.busy("Predict", f"asking about {len(drawn)} flights of {unseen.name}"):
            parts = list(rows.chunks([rows.for_model(row, spec) for row in drawn], FLIGHTS_PER_REQUEST))
            for part in parts:
                probabilities += _scores(there, part)
        took = time.monotonic() - began
        scored = Scored(
            month=unseen.name,
            version=version,
            requests=len(parts),
            milliseconds=took * 1000,
            score=scoring.score(probabilities, [int(row[spec.target]) for row in drawn]),
        )
        self.view.scored(scored)
        return scored


def next_steps(story: Story, port: int, *, keep: bool) -> list[tuple[str, str]]:
    """Commands worth typing now, and why."""
    if not keep:
        return [
            ("upkeep demo --keep", "the same, and the sandbox stays up to look around in"),
            ("upkeep sandbox", "an empty one; then `upkeep up` deploys the stack to it"),
            ("upkeep preview --stack dev", "what the same program would make in your AWS account"),
        ]
    last = story.shuffled.run_id[:8] if story.shuffled else ""
    option = "" if port == lifecycle.DEFAULT_PORT else f" --port {port}"
    return [
        (f"upkeep status{option}", "what serves, alarms, queues"),
        (f"upkeep runs{option}", "every decision with its reason"),
        (f"upkeep logs --endpoint{option}", "what the serving container says"),
        (f'eval "$(upkeep sandbox env{option})"; aws s3 ls', "the AWS CLI, boto3 and all others work too"),
        (f"upkeep runs show {last}{option}", "one run: its data, its job, its decision"),
        (f"upkeep quarantine list{option}", "the refused files, each with its reason"),
        (f"upkeep data list{option}", "every data version that a model was trained on"),
        (f"upkeep sandbox stop{option}", "stop it and leave nothing behind"),
    ]


def _diff(there: Context, ledger: OperatorLedger, result: Result) -> dict[str, Any]:
    """How the columns of a refused file differ from the contract's."""
    for upload in result.progress.quarantined:
        entry = ledger.quarantine_entry(there.model(MODEL).name, upload.quarantine_id)
        if entry is not None:
            return quarantine.diff_of(there, entry)
    return {}


def _scores(there: Context, part: list[dict[str, Any]]) -> list[float]:
    body = json.dumps({"instances": part}).encode()
    answer = serving.predict(there, there.model(MODEL), body, serving.JSON)
    if not answer.ok:
        raise UpkeepError(
            f"The endpoint refused real flights (HTTP {answer.status}): {serving.error_text(answer)}"
        )
    return [float(prediction["score"]) for prediction in answer.predictions()]


def _within(seconds: float, what: str, call: Callable[[], T]) -> T:
    """Run something in a thread that can be left behind when it takes too long."""
    done: Future[T] = Future()

    def work() -> None:
        try:
            done.set_result(call())
        except BaseException as error:  # noqa: BLE001 - handed over to the waiting thread
            done.set_exception(error)

    threading.Thread(target=work, daemon=True, name="deploy").start()
    try:
        return done.result(seconds)
    except FutureTimeoutError as error:
        raise UpkeepError(
            f"{what} did not end within {seconds:g} s. Run with --keep and see `upkeep logs`."
        ) from error
