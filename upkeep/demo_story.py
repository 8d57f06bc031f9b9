"""What happened in the demo, as data: shown by `demo_view`, printed by `upkeep demo --json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from upkeep import follow
from upkeep.demo_files import DataFile
from upkeep.follow import Result
from upkeep.runs import Step
from upkeep.scoring import Score

SCHEMA = 1


@dataclass(frozen=True)
class Stage:
    """A part of what happened to a file, and its seconds."""

    name: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Push:
    """One pushed file and what became of it.

    Attributes:
        name: What the demo calls it.
        file: Its file name.
        about: What is in it.
        rows: Rows in the file.
        dropped: Rows of it that break the data contract and were left out; None when nobody counted.
        diff: How its columns differ from the contract's; empty when they do not.
        outcome: One of `follow`'s outcomes.
        reason: The judge's, the intake's or an error's sentence.
        rows_in_all: Rows the run trained on and held out.
        holdout: Newest rows that both models were scored on.
        challenger: The new model's metric on them.
        champion: The serving model's metric on the same rows.
        champion_version: Version that served before.
        version_live: Version that answers afterwards.
        seconds: From the end of the upload to the last thing known.
        stages: Where the seconds went.
    """

    name: str
    file: str
    about: str
    rows: int
    outcome: str
    reason: str
    run_id: str = ""
    metric: str = ""
    rows_in_all: int | None = None
    holdout: int | None = None
    challenger: float | None = None
    champion: float | None = None
    champion_version: int | None = None
    version_live: int | None = None
    dropped: int | None = None
    seconds: float = 0.0
    stages: tuple[Stage, ...] = ()
    diff: dict[str, Any] = field(default_factory=dict)

    @property
    def gain(self) -> float | None:
        """Challenger minus champion."""
        if self.challenger is None or self.champion is None:
            return None
        return self.challenger - self.champion

    def to_json(self) -> dict[str, Any]:
        """The push as data."""
        return {**asdict(self), "gain": self.gain}


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Real flights of a month the model has not seen, asked of the endpoint."""

    month: str
    version: int | None
    requests: int
    milliseconds: float
    score: Score

    def to_json(self) -> dict[str, Any]:
        """The answers as data."""
        return {**asdict(self), "score": self.score.to_json()}


@dataclass(kw_only=True)
class Story:
    """The whole demo.

    Attributes:
        url: Where the sandbox answers.
        sandbox_seconds: Until it answered.
        deploy_seconds: Until the stack was up and the seed model answered.
        resources: Resources in the stack.
        months: The months pushed.
        scored: How real flights were predicted.
        broken: The files that must be quarantined.
        shuffled: The month that the gate must refuse.
        seconds: The whole demo.
    """

    url: str = ""
    sandbox_seconds: float = 0.0
    deploy_seconds: float = 0.0
    resources: int = 0
    months: list[Push] = field(default_factory=list)
    scored: Scored | None = None
    broken: list[Push] = field(default_factory=list)
    shuffled: Push | None = None
    seconds: float = 0.0

    def problems(self) -> list[str]:
        """What did not go as the demo promises."""
        found = [f"{p.name}: {p.outcome}: {p.reason}" for p in self.months if p.outcome not in _EXPECTED]
        if not any(push.outcome == follow.RELEASED for push in self.months):
            found.append("No version was released.")
        if not self.broken:
            found.append("No broken file was pushed.")
        for push in self.broken:
            found += _unlike(push, follow.QUARANTINED, push.file)
        found += _unlike(self.shuffled, follow.REFUSED, "The month with shuffled labels")
        if self.scored is None:
            found.append("No flights were scored.")
        return found

    def to_json(self) -> dict[str, Any]:
        """The story as one JSON document."""
        return {
            "schema": SCHEMA,
            "ok": not self.problems(),
            "problems": self.problems(),
            "sandbox": {"url": self.url, "seconds": round(self.sandbox_seconds, 2)},
            "deploy": {"resources": self.resources, "seconds": round(self.deploy_seconds, 2)},
            "months": [push.to_json() for push in self.months],
            "scored": self.scored.to_json() if self.scored else None,
            "broken": [push.to_json() for push in self.broken],
            "shuffled": self.shuffled.to_json() if self.shuffled else None,
            "seconds": round(self.seconds, 2),
        }


def told(
    file: DataFile,
    result: Result,
    accepted_after: float | None,
    before: int | None,
    diff: dict[str, Any] | None = None,
) -> Push:
    """One push from how following it ended.

    Args:
        file: What was pushed.
        result: How it ended.
        accepted_after: Seconds until the intake had accepted it.
        before: Version that served before.
        diff: How the file's columns differ from the contract's.
    """
    progress = result.progress
    decision = progress.run.decision if progress.run else None
    released = result.outcome == follow.RELEASED and progress.package is not None
    return Push(
        name=file.name,
        file=file.path.name,
        about=file.about,
        rows=file.rows,
        outcome=result.outcome,
        reason=progress.quarantined[0].reason if progress.quarantined else result.reason,
        run_id=progress.run.id if progress.run else "",
        metric=decision.metric if decision else "",
        rows_in_all=_count(decision.rows.get("total")) if decision else None,
        holdout=_count(decision.rows.get("holdout")) if decision else None,
        challenger=decision.challenger if decision else None,
        champion=decision.champion if decision else None,
        champion_version=before,
        dropped=progress.accepted[0].dropped if progress.accepted else None,
        version_live=progress.package.version if released and progress.package else before,
        seconds=progress.seconds,
        stages=tuple(stages(result, accepted_after)),
        diff=diff or {},
    )


def stages(result: Result, accepted_after: float | None) -> list[Stage]:
    """Where the seconds went: intake, training, judging, release."""
    progress = result.progress
    found = [] if accepted_after is None else [Stage("accepted", accepted_after)]
    for state, word in (("Train", "trained"), ("Judge", "judged")):
        if (took := _state_seconds(progress.steps, state)) is not None:
            found.append(Stage(word, took))
    if progress.release is not None and progress.release.seconds is not None:
        found.append(Stage("released", progress.release.seconds))
    return found


def _state_seconds(steps: Sequence[Step], name: str) -> float | None:
    for step in steps:
        if step.name == name and step.ended is not None:
            return step.seconds(step.ended)
    return None


def _count(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _unlike(push: Push | None, wanted: str, name: str) -> list[str]:
    if push is None:
        return [f"{name} was not pushed."]
    return (
        []
        if push.outcome == wanted
        else [f"{name} should be {wanted}, but was {push.outcome}: {push.reason}"]
    )


_EXPECTED = (follow.RELEASED, follow.REFUSED)
