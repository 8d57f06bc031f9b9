"""Follows one execution of the release machine, whoever started it, until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from upkeep import outcome, runs, serving
from upkeep.conclude import release_failure
from upkeep.live import Row, release_rows
from upkeep.logged_out import LOG_IN, explained
from upkeep.outcome import EXIT_CODES
from upkeep.outputs import ModelOutputs
from upkeep.phases import UPDATING, title
from upkeep.render import iso
from upkeep.runs import Clients, Run, Step
from upkeep.serving import Package, Serving

DEFAULT_TIMEOUT_SECONDS = 3600.0
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListExecutions.html
_NEWEST = 50
_LOOK_AGAIN = (
    f"It goes on without you. {LOG_IN}, then `upkeep status` shows what serves and what is under way."
)


@dataclass(frozen=True, kw_only=True)
class Watched:
    """An execution as far as it is known.

    Attributes:
        title: What it is, for the heading of the view.
        run: The execution; None while it has not started.
        steps: The phases it went through.
        seconds: Since following began.
    """

    title: str
    run: Run | None = None
    steps: tuple[Step, ...] = ()
    seconds: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.run is not None and self.run.ended

    def rows(self, now: datetime) -> list[Row]:
        """What there is to see."""
        return [Row(self.title), *release_rows(self.steps, now)]

    def where(self) -> str:
        """What is waited for."""
        if self.run is None:
            return "the release to start"
        running = [step.words() for step in self.steps if step.status == "running"]
        return running[-1] if running else "the release"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How following ended.

    Attributes:
        outcome: One of `upkeep.outcome`.
        reason: Why.
        watched: The execution.
        serving: What serves now.
        package: The version it was about, as the registry has it now; None for the seed.
    """

    outcome: str
    reason: str
    watched: Watched
    serving: Serving | None = None
    package: Package | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the outcome."""
        return EXIT_CODES[self.outcome]

    def to_json(self) -> dict[str, Any]:
        """The ending as `--json` prints it."""
        run, now = self.watched.run, datetime.now(UTC)
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "exit_code": self.exit_code,
            "seconds": round(self.watched.seconds, 2),
            "execution": run.arn if run else None,
            "started": iso(run.started) if run else None,
            "phases": [step.to_json(now) for step in self.watched.steps],
            "serving": self.serving.to_json() if self.serving else None,
        }


def executions(context: Clients, model: ModelOutputs) -> frozenset[str]:
    """The ARNs of the newest executions, to tell later which one is new."""
    return frozenset(item["executionArn"] for item in _listed(context, model))


def started_for(
    context: Clients, model: ModelOutputs, package_arn: str, earlier: frozenset[str]
) -> Run | None:
    """The first execution for a package that was not there earlier."""
    for item in reversed(_listed(context, model)):
        if item["executionArn"] in earlier:
            continue
        states = context.client("stepfunctions")
        described = states.describe_execution(executionArn=item["executionArn"])
        if f'"{package_arn}"' in str(described.get("input")):
            return runs.parse_run(model.name, described)
    return None


def phases(context: Clients, model: ModelOutputs, run: Run) -> list[Step]:
    """The phases of a release, with how far the traffic is while it moves."""
    found = runs.phases_of(context, run.arn)
    if not found or run.ended or found[-1].status != "running" or found[-1].name != title(UPDATING):
        return found
    said = serving.movement(context, model)
    return [*found[:-1], replace(found[-1], message=said or found[-1].message)]


def watch(
    context: Clients,
    model: ModelOutputs,
    heading: str,
    find: Callable[[], Run | None],
    *,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    poll_seconds: float = 1.0,
    show: Callable[[Watched], None] = lambda _watched: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Watched:
    """Ask until the execution has ended or the time is over.

    Args:
        context: The stack.
        model: The model.
        heading: What it is, for the view.
        find: Looks for the execution until there is one.
        timeout_seconds: When to give up.
        poll_seconds: Time between two rounds of questions.
        show: Told of all that is known after each round.
        clock: Seconds that only grow.
        sleep: Waits.
    """
    began = clock()
    known = Watched(title=heading)
    while True:
        with explained(lambda: f"while this was followed: {heading}. {_LOOK_AGAIN}"):
            run = find() if known.run is None else runs.find_described(context, model, known.run.arn)
            run = run or known.run
            steps = tuple(phases(context, model, run)) if run else ()
        known = replace(known, run=run, steps=steps, seconds=clock() - began)
        show(known)
        if known.ended or known.seconds >= timeout_seconds:
            return known
        sleep(poll_seconds)


def conclude_release(
    context: Clients, model: ModelOutputs, package_arn: str, watched: Watched, timeout_seconds: float
) -> Ending:
    """How the release of a version ended: what the endpoint serves counts, and what the registry says."""
    packages = serving.list_packages(context, model)
    now = serving.read_serving(context, model, packages)
    package = next((one for one in packages if one.arn == package_arn), None)
    if not watched.ended or package is None:
        return _unfinished(watched, now, package, timeout_seconds)
    if watched.run is not None and watched.run.status == "SUCCEEDED":
        if package.model_data_url == now.model_data_url:
            said = f"{package.words} serves"
            return Ending(
                outcome=outcome.RELEASED, reason=said, watched=watched, serving=now, package=package
            )
        if package.release not in ("refused", "rolled_back", "failed"):
            said = f"The release of {package.words} ended, but {served_words(now, packages)} serves"
            return Ending(outcome=outcome.FAILED, reason=said, watched=watched, serving=now, package=package)
    how, reason = release_failure(package, watched.run)
    return Ending(outcome=how, reason=reason, watched=watched, serving=now, package=package)


def served_words(now: Serving, packages: Sequence[Package]) -> str:
    """What serves, in a sentence."""
    package = next((one for one in packages if one.version == now.version), None)
    if package is not None:
        return package.words
    return "the seed" if now.version == serving.SEED_VERSION else "a model the registry does not know"


def _unfinished(watched: Watched, now: Serving, package: Package | None, timeout_seconds: float) -> Ending:
    reason = f"Not done after {timeout_seconds:g} s; it was waiting for {watched.where()}."
    if watched.ended:
        reason = "The version is no longer in the registry."
    how = outcome.FAILED if watched.ended else outcome.TIMEOUT
    return Ending(outcome=how, reason=reason, watched=watched, serving=now, package=package)


def _listed(context: Clients, model: ModelOutputs) -> list[dict[str, Any]]:
    answer = context.client("stepfunctions").list_executions(
        stateMachineArn=model.release_state_machine_arn, maxResults=_NEWEST
    )
    found: list[dict[str, Any]] = answer["executions"]
    return found
