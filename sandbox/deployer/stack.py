"""The operations on one stack: preview, up, refresh, down, outputs."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import program, refreshing, urns
from .deletion import delete_leftovers
from .engine import DEFAULT_PARALLEL, Engine, ProviderFactory, ResourceFailedError
from .events import Change, Diagnostic, Event, Listener, Op, Step
from .project import Project
from .refreshing import Finding
from .state import Checkpoint, Resource
from .values import Properties, has_secret, masked, plain

Run = Callable[[Engine], None]


@dataclass
class Result:
    """What an operation did, or would do."""

    steps: list[Step] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    outputs: Properties = field(default_factory=dict)
    seconds: float = 0.0
    kept: dict[str, str] = field(default_factory=dict)
    """Of the protected resources that a teardown left: URN to the provider's id."""

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    def counts(self) -> dict[str, int]:
        """Return how many resources each operation concerns; the stack itself and providers count too."""
        return dict(Counter(str(step.op) for step in self.steps))

    @property
    def changes(self) -> list[Step]:
        """The steps that change something."""
        return [step for step in self.steps if step.op not in (Op.SAME, Op.READ)]

    def to_json(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """Return the result as data."""
        outputs = plain(self.outputs) if show_secrets else masked(self.outputs)
        return {
            "ok": self.ok,
            "steps": [step.to_json() for step in self.steps if step.op is not Op.SAME],
            "changeSummary": self.counts(),
            "failures": self.failures,
            "kept": self.kept,
            "outputs": masked(outputs),
            "durationSeconds": round(self.seconds, 3),
        }


def _ignore(_event: Event) -> None:
    return None


class Stack:
    """A stack whose resources live in the sandbox and whose state is one checkpoint file."""

    def __init__(
        self,
        project: Project,
        path: Path,
        factories: dict[str, ProviderFactory],
        *,
        run: Run = program.run_project,
        parallel: int = DEFAULT_PARALLEL,
    ) -> None:
        self._project = project
        self._path = path
        self._factories = factories
        self._run = run
        self._parallel = parallel
        # A preview and the update after it make the same physical names.
        self._seed = secrets.token_bytes(16)
        self._engine: Engine | None = None

    def preview(self, listener: Listener = _ignore) -> Result:
        """Say what `up` would do; nothing is changed."""
        return self._deploy(listener, dry_run=True)

    def up(self, listener: Listener = _ignore) -> Result:
        """Bring the stack to the state the program describes."""
        try:
            return self._deploy(listener, dry_run=False)
        finally:
            # A replacement must not get the name of what it replaces.
            self._seed = secrets.token_bytes(16)

    def _deploy(self, listener: Listener, *, dry_run: bool) -> Result:
        started = time.monotonic()
        engine = self._open(listener, dry_run=dry_run)
        before = outputs_of(engine.checkpoint)
        self._recover(engine)
        if not engine.failures:
            try:
                self._run(engine)
            except program.ProgramError as error:
                engine.fail("", str(error))
        if not engine.failures and not engine.cancelled.is_set():
            delete_leftovers(engine)
        _note_cancellation(engine)
        if not dry_run:
            engine.checkpoint.write()
        result = _result(engine, started)
        _note_output_changes(result, before)
        return result

    def destroy(
        self, listener: Listener = _ignore, *, dry_run: bool = False, keep_protected: bool = False
    ) -> Result:
        """Delete everything the stack has, dependents first; protected resources are an error or are kept."""
        started = time.monotonic()
        engine = self._open(listener, dry_run=dry_run)
        self._recover(engine)
        kept: list[Resource] = []
        if not engine.failures:
            kept = delete_leftovers(engine, keep_protected=keep_protected)
        _note_cancellation(engine)
        if not dry_run:
            engine.checkpoint.write()
        result = _result(engine, started)
        result.kept = {item.urn: item.id for item in kept}
        return result

    def protected(self) -> dict[str, str]:
        """URN and provider's id of every protected resource."""
        return {item.urn: item.id for item in Checkpoint.load(self._path).resources() if item.protect}

    def unprotect(self) -> None:
        """Lift the protection of every resource, as `pulumi state unprotect --all` does."""
        checkpoint = Checkpoint.load(self._path)
        for item in checkpoint.resources():
            item.protect = False
        checkpoint.write()

    def look(self, listener: Listener = _ignore) -> tuple[Engine, list[Finding], Result]:
        """Compare the checkpoint with what is there; `accept` takes the findings over."""
        started = time.monotonic()
        engine = self._open(listener, dry_run=False)
        findings = refreshing.look(engine)
        result = _result(engine, started)
        result.steps = [finding.step for finding in findings]
        return engine, findings, result

    def accept(self, engine: Engine, findings: list[Finding]) -> Result:
        """Make the checkpoint true."""
        started = time.monotonic()
        self._recover(engine)
        refreshing.apply(engine, findings)
        return _result(engine, started)

    def refresh(self, listener: Listener = _ignore) -> Result:
        """Compare and take over in one go."""
        engine, findings, _ = self.look(listener)
        return self.accept(engine, findings)

    def outputs(self) -> Properties:
        """Return the outputs of the last deployment; secrets are marked."""
        return outputs_of(Checkpoint.load(self._path))

    def cancel(self) -> None:
        """Let what runs finish and start nothing more."""
        if self._engine is not None:
            self._engine.cancelled.set()

    def _open(self, listener: Listener, *, dry_run: bool) -> Engine:
        checkpoint = Checkpoint.load(self._path)
        if dry_run:
            checkpoint.detach()
        self._engine = Engine(
            self._project,
            checkpoint,
            self._factories,
            listener,
            dry_run=dry_run,
            parallel=self._parallel,
            seed=self._seed,
        )
        if checkpoint.warning:
            self._engine.tell(Diagnostic("warning", checkpoint.warning, ""))
        return self._engine

    def _recover(self, engine: Engine) -> None:
        try:
            engine.recover()
        except ResourceFailedError as error:
            engine.fail("", f"cannot look for what an interrupted run left: {error}")


def _note_cancellation(engine: Engine) -> None:
    if engine.cancelled.is_set():
        engine.fail("", "cancelled; what had started was finished, run it again for the rest")


def _result(engine: Engine, started: float) -> Result:
    outputs = outputs_of(engine.checkpoint)
    return Result(engine.steps, engine.failures, outputs, time.monotonic() - started)


def _note_output_changes(result: Result, before: Properties) -> None:
    """Say on the stack's step which outputs change."""
    root = next((step for step in result.steps if step.type == urns.STACK_TYPE), None)
    if root is None or not result.ok:
        return
    for key in sorted({*before, *result.outputs}):
        old, new = before.get(key), result.outputs.get(key)
        if key not in before:
            root.changes[f"output {key}"] = Change("add", new=new)
        elif key not in result.outputs:
            root.changes[f"output {key}"] = Change("delete", old=old)
        elif old != new or has_secret(old) != has_secret(new):
            root.changes[f"output {key}"] = Change("update", old, new)
    if root.changes and root.op is Op.SAME:
        root.op = Op.UPDATE


def outputs_of(checkpoint: Checkpoint) -> Properties:
    """Return the outputs of the stack resource of a checkpoint."""
    for item in checkpoint.resources():
        if item.type == urns.STACK_TYPE:
            return item.outputs
    return {}


def read_outputs(path: Path) -> dict[str, Any]:
    """Return the outputs in a checkpoint file as plain data.

    Raises:
        CheckpointError: the file is not a valid checkpoint.
    """
    values = plain(outputs_of(Checkpoint.load(path)))
    loaded: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return loaded


__all__ = ["Diagnostic", "Result", "Stack", "outputs_of", "read_outputs"]
