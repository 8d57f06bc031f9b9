"""Turns registrations into operations: the engine side of Pulumi's protocol.

Planning (what is to be done) is serialised and makes no change. Operations run on the threads that the
registrations came in on, at most `parallel` at once. The checkpoint is written after each of them.
"""

from __future__ import annotations

import functools
import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from . import paths, urns
from .events import Change, Diagnostic, Listener, Op, Step, StepFinished, StepStarted
from .goal import Alias, Goal
from .interface import Difference, PartialError, Provider, ProviderError, Subject
from .project import Project
from .state import Checkpoint, PendingOperation, Resource, now_text, successor
from .values import UNKNOWN, Properties, Secret, has_secret, plain

DEFAULT_PARALLEL = 16

ProviderFactory = Callable[[], Provider]


class ResourceFailedError(Exception):
    """A resource cannot be planned, or its operation failed; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """The answer to a registration: `success`, `fail` or `skip`."""

    urn: str
    result: str = "success"
    id: str = ""
    outputs: Properties = field(default_factory=dict)


@dataclass
class _Plan:
    step: Step
    new: Resource
    old: Resource | None
    provider: Provider | None
    difference: Difference = field(default_factory=Difference)
    doomed: list[Resource] = field(default_factory=list)
    users: list[threading.Event] = field(default_factory=list)
    wait_for: threading.Event | None = None

    @property
    def old_is_gone(self) -> bool:
        return self.old is None or self.old.pending_replacement


class Engine:
    """One operation (preview, update, refresh or destroy) on one stack."""

    def __init__(
        self,
        project: Project,
        checkpoint: Checkpoint,
        factories: dict[str, ProviderFactory],
        listener: Listener,
        *,
        dry_run: bool,
        parallel: int = DEFAULT_PARALLEL,
        seed: bytes = b"",
    ) -> None:
        self.project = project
        self.checkpoint = checkpoint
        self.dry_run = dry_run
        self.parallel = parallel
        self.steps: list[Step] = []
        self.failures: list[str] = []
        self.cancelled = threading.Event()
        self._factories = factories
        self._listener = listener
        self._seed = seed
        self._planning = threading.RLock()
        self._slots = threading.BoundedSemaphore(parallel)
        self._providers: dict[str, tuple[str, Provider]] = {}
        self._registered: dict[str, Resource | None] = {}
        self._old = {item.urn: item for item in checkpoint.resources() if not item.delete}
        self._renamed: dict[str, str] = {}
        self._doomed: dict[str, threading.Event] = {}
        self._ended: dict[str, threading.Event] = {}

    # -- what the program asks for ---------------------------------------------------------------------

    def register(self, goal: Goal) -> Outcome:
        """Bring one resource to the wanted state and answer with its id and outputs."""
        urn = urns.make(self.project.stack, self.project.name, goal.parent, goal.type, goal.name)
        try:
            with self._planning:
                if self.halted:
                    return Outcome(urn, "skip")
                self._enter(urn)
                plan = self._plan(urn, goal)
                self.steps.append(plan.step)
                ended = self._ended[urn] = threading.Event()
            try:
                self._execute(plan)
            finally:
                ended.set()
        except ResourceFailedError as error:
            self.fail(urn, str(error))
            return Outcome(urn, "fail")
        self._registered[urn] = plan.new
        return Outcome(urn, "success", plan.new.id, plan.new.outputs)

    def _enter(self, urn: str) -> None:
        if urn in self._registered:
            raise ResourceFailedError(
                f"two resources have the URN {urn}; give one of them another name or parent"
            )
        self._registered[urn] = None

    def register_outputs(self, urn: str, outputs: Properties) -> None:
        """Record the outputs of a component; those of a stack that failed stay as they were."""
        resource = self._registered.get(urn)
        if resource is None or (self.halted and resource.type == urns.STACK_TYPE):
            return
        resource.outputs = outputs
        if not self.dry_run:
            self.checkpoint.write()

    def invoke(self, token: str, arguments: Properties, provider: str, version: str) -> Properties:
        """Answer a function of a package.

        Raises:
            ProviderError: the function is not known or failed.
        """
        with self._planning:
            _, implementation = self._provider_for(urns.package_of(token), provider, version)
        with self._slots:
            return implementation.invoke(token, plain(arguments))

    @property
    def halted(self) -> bool:
        """Whether nothing new may start. A preview goes on after failures, to show them all."""
        return self.cancelled.is_set() or (bool(self.failures) and not self.dry_run)

    def fail(self, urn: str, message: str) -> None:
        """Record a failure and tell about it."""
        self.failures.append(f"{urns.type_of(urn)} {urns.name_of(urn)}: {message}" if urn else message)
        self._listener(Diagnostic("error", message, urn))

    def tell(self, diagnostic: Diagnostic) -> None:
        """Pass a message on."""
        self._listener(diagnostic)

    def registered(self, urn: str) -> Resource | None:
        """Return a resource that this run has confirmed."""
        return self._registered.get(urn)

    # -- planning --------------------------------------------------------------------------------------

    def _plan(self, urn: str, goal: Goal) -> _Plan:
        old = self._previous(urn, goal)
        new = Resource(
            urn=urn,
            type=goal.type,
            custom=goal.custom,
            inputs=goal.inputs,
            parent=goal.parent,
            dependencies=goal.dependencies,
            property_dependencies=goal.property_dependencies,
            protect=goal.protect,
            retain_on_delete=goal.retain_on_delete,
            additional_secret_outputs=goal.additional_secret_outputs,
            custom_timeouts=goal.timeouts,
            deleted_with=goal.deleted_with,
        )
        if old is not None:
            new.id, new.outputs, new.created, new.modified = old.id, old.outputs, old.created, old.modified
        if goal.type.startswith(urns.PROVIDER_PREFIX):
            return self._plan_provider(new, old)
        if not goal.custom:
            op = Op.CREATE if old is None else Op.SAME
            return _Plan(Step(op, urn, goal.parent, custom=False), new, old, None)
        return self._plan_custom(new, old, goal)

    def _plan_provider(self, new: Resource, old: Resource | None) -> _Plan:
        provider = self._new_provider(urns.name_of(f"::::::{new.type.removeprefix(urns.PROVIDER_PREFIX)}"))
        try:
            new.inputs = provider.configure({key: str(value) for key, value in plain(new.inputs).items()})
        except ProviderError as error:
            raise ResourceFailedError(str(error)) from error
        changes: dict[str, Change] = {}
        if old is not None:
            changes = {paths.show(path): c for path, c in paths.compare(old.inputs, new.inputs).items()}
            if old.inputs.get("region") != new.inputs.get("region"):
                raise ResourceFailedError(
                    f"the region of this stack is {old.inputs.get('region')}; it cannot become "
                    f"{new.inputs.get('region')}. Take the stack down first"
                )
        new.id = new.id or str(uuid.uuid4())
        new.outputs = new.inputs
        self._providers[new.urn] = (f"{new.urn}::{new.id}", provider)
        op = Op.CREATE if old is None else Op.UPDATE if changes else Op.SAME
        return _Plan(Step(op, new.urn, new.parent, changes=changes), new, old, None)

    def _plan_custom(self, new: Resource, old: Resource | None, goal: Goal) -> _Plan:
        new.provider, provider = self._provider_for(urns.package_of(goal.type), goal.provider, goal.version)
        subject = Subject(new.urn, new.type, new.id)
        reason = ""
        if old is not None and old.init_errors and not old.taint and not old.pending_replacement:
            old = self._reread(old, provider, subject)
            reason = "its last update failed"
            if old is None:
                new.id, new.outputs = "", {}
        new.inputs = self._checked(new, old, provider, goal)
        step = Step(Op.CREATE, new.urn, new.parent, reason=reason)
        plan = _Plan(step, new, old, provider, wait_for=self._doomed.get(new.urn))
        if old is None:
            return plan
        if old.pending_replacement or new.urn in self._doomed:
            step.op, step.delete_first, step.reason = Op.REPLACE, True, "what it depends on is replaced"
            return plan
        plan.difference = self._difference(new, old, provider, goal)
        step.changes = plan.difference.changes
        if old.taint:
            step.op, step.delete_first, step.reason = Op.REPLACE, True, "its creation failed"
        elif plan.difference.replaces:
            step.op = Op.REPLACE
            wanted = goal.delete_before_replace
            step.delete_first = plan.difference.delete_before_replace if wanted is None else wanted
        else:
            step.op = Op.UPDATE if step.changes else Op.SAME
        if step.op is Op.REPLACE:
            self._plan_replacement(plan, old)
            if not step.delete_first:
                # Both exist for a while, so a name that the provider makes up has to be another one.
                new.inputs = self._checked(new, old, provider, goal, replacing=True)
        return plan

    def _plan_replacement(self, plan: _Plan, old: Resource) -> None:
        if old.protect and not old.taint:
            raise ResourceFailedError(
                f"it is protected and would have to be replaced because of {_because(plan.step)}; "
                "undo that change, or deploy once with protect=False"
            )
        if plan.step.delete_first:
            plan.doomed = self._dependents_to_replace(old)
            for item in [*plan.doomed, old]:
                item.pending_replacement = self.dry_run or item.pending_replacement
            for item in plan.doomed:
                self._doomed[item.urn] = threading.Event()
            plan.users = [
                self._ended[urn]
                for urn, item in self._old.items()
                if urn in self._ended and urn != old.urn and old.urn in item.references()
            ]
        plan.new.id = "" if self.dry_run else plan.new.id

    def _dependents_to_replace(self, root: Resource) -> list[Resource]:
        """Return what must go before `root`: dependents that its new outputs would replace, last first."""
        doomed: list[Resource] = []
        gone = {root.urn}
        for item in self.checkpoint.base():
            touched = {key for key, deps in item.property_dependencies.items() if gone.intersection(deps)}
            skip = item.delete or item.pending_replacement or item.urn in self._registered
            if not touched or skip or not item.custom:
                continue
            inputs = plain(item.inputs)
            changed = {key: UNKNOWN if key in touched else value for key, value in inputs.items()}
            provider = self.provider_of(item)
            subject = Subject(item.urn, item.type, item.id)
            if provider.diff(subject, inputs, plain(item.outputs), changed).replaces:
                if item.protect:
                    raise ResourceFailedError(
                        f"it must be deleted before it is replaced, which needs {item.urn} to be replaced, "
                        "and that is protected"
                    )
                gone.add(item.urn)
                doomed.append(item)
        return doomed[::-1]

    def _with_condemned(self, root: Resource, doomed: list[Resource]) -> list[Resource]:
        """Return `doomed` with the replaced resources that still use `root`, users first."""
        base = self.checkpoint.base()
        wanted, gone = set(map(id, doomed)), {root.urn}
        for item in base:
            if item.delete and gone & item.references():
                wanted.add(id(item))
                gone.add(item.urn)
        return [item for item in reversed(base) if id(item) in wanted]

    def _settle_users(self, plan: _Plan) -> None:
        """Wait for what stops using a resource in this run, then see what of it is left to delete first.

        An operation waits for ones that were planned before it only, so they never wait for each other.
        """
        assert plan.old is not None
        for event in plan.users:
            event.wait()
        with self._planning:
            plan.doomed = self._with_condemned(plan.old, plan.doomed)

    def _reread(self, old: Resource, provider: Provider, subject: Subject) -> Resource | None:
        present = self._guard(lambda: provider.read(subject, plain(old.inputs)))
        if present is None:
            self.checkpoint.remove(old)
            return None
        old.inputs, old.outputs = present
        return old

    def _checked(
        self, new: Resource, old: Resource | None, provider: Provider, goal: Goal, *, replacing: bool = False
    ) -> Properties:
        inputs = goal.inputs
        if old is not None and goal.ignore_changes:
            try:
                inputs = paths.keep_old(inputs, old.inputs, goal.ignore_changes)
            except ValueError as error:
                raise ResourceFailedError(f"ignore_changes: {error}") from error
        before = None if old is None or replacing else plain(old.inputs)
        seed = hashlib.sha256(self._seed + new.urn.encode()).digest()
        subject = Subject(new.urn, new.type, new.id)
        checked = self._guard(lambda: provider.check(subject, before, plain(inputs), seed))
        if checked.failures:
            lines = [
                f"{item.property}: {item.reason}" if item.property else item.reason
                for item in checked.failures
            ]
            raise ResourceFailedError("\n".join(lines))
        return {
            key: Secret(value) if has_secret(inputs.get(key)) else value
            for key, value in checked.inputs.items()
        }

    def _difference(self, new: Resource, old: Resource, provider: Provider, goal: Goal) -> Difference:
        subject = Subject(new.urn, new.type, old.id)
        found = self._guard(
            lambda: provider.diff(subject, plain(old.inputs), plain(old.outputs), plain(new.inputs))
        )
        forcing = [paths.parse(text) for text in goal.replace_on_changes]
        changes = {}
        for text, change in found.changes.items():
            path = paths.parse(text)
            forces = change.forces_replacement or any(paths.matches(pattern, path) for pattern in forcing)
            top = path[0] if path else ""
            secret = any(has_secret(side.inputs.get(str(top))) for side in (old, new))
            before, after = (Secret(change.old), Secret(change.new)) if secret else (change.old, change.new)
            changes[text] = Change(change.kind, before, after, forces)
        return Difference(changes, found.delete_before_replace, found.volatile)

    # -- identity --------------------------------------------------------------------------------------

    def _previous(self, urn: str, goal: Goal) -> Resource | None:
        for candidate in [urn, *self._former_urns(urn, goal)]:
            old = self._old.get(candidate)
            if old is None or (candidate != urn and candidate in self._registered):
                continue
            if candidate != urn:
                self._renamed[urn] = candidate
                del self._old[candidate]
                old.urn = urn
                self._old[urn] = old
                self.checkpoint.rename(candidate, urn)
            return old
        return None

    def _former_urns(self, urn: str, goal: Goal) -> Iterator[str]:
        """Yield the URNs a resource may have had: its aliases, and those that follow from its parent's."""
        parents = [goal.parent]
        if goal.parent in self._renamed:
            parents.append(self._renamed[goal.parent])
        for alias in [*goal.aliases, Alias()]:
            if alias.urn:
                yield alias.urn
                continue
            for parent in parents:
                name = alias.name or goal.name
                if parent != goal.parent and not alias.name:
                    prefix, former = urns.name_of(goal.parent), urns.name_of(parent)
                    name = former + name[len(prefix) :] if name.startswith(prefix) else name
                chosen = "" if alias.no_parent else alias.parent or parent
                candidate = urns.make(
                    alias.stack or self.project.stack,
                    alias.project or self.project.name,
                    chosen,
                    alias.type or goal.type,
                    name,
                )
                if candidate != urn:
                    yield candidate

    # -- providers -------------------------------------------------------------------------------------

    def provider_of(self, resource: Resource) -> Provider:
        """Return the provider that made a resource, configured as the checkpoint says.

        Raises:
            ResourceFailedError: the checkpoint has no such provider, or its package is not known.
        """
        return self._provider_for(urns.package_of(resource.type), resource.provider, "")[1]

    def _provider_for(self, package: str, reference: str, version: str) -> tuple[str, Provider]:
        if not reference:
            return self._default_provider(package, version)
        urn = reference.rpartition("::")[0]
        with self._planning:
            if urn not in self._providers:
                state = self._old.get(urn)
                if state is None:
                    raise ResourceFailedError(
                        f"its provider {urn} is neither in the program nor in the checkpoint"
                    )
                provider = self._new_provider(package)
                self._guard(lambda: provider.configure({k: str(v) for k, v in plain(state.inputs).items()}))
                self._providers[urn] = (f"{urn}::{state.id}", provider)
            return self._providers[urn]

    def _default_provider(self, package: str, version: str) -> tuple[str, Provider]:
        name = "default" + (f"_{version}" if version else "").replace(".", "_").replace("-", "_").replace(
            "+", "_"
        )
        type_ = urns.PROVIDER_PREFIX + package
        urn = urns.make(self.project.stack, self.project.name, "", type_, name)
        if urn not in self._registered:
            inputs: Properties = dict(self.project.of_package(package))
            self._registered[urn] = None
            plan = self._plan(urn, Goal(type_, name, custom=True, inputs=inputs))
            self._execute(plan)
            self._registered[urn] = plan.new
            if plan.step.op is Op.UPDATE:
                self.steps.append(plan.step)
        if urn not in self._providers:
            raise ResourceFailedError(f"the provider of package {package} could not be configured")
        return self._providers[urn]

    def _new_provider(self, package: str) -> Provider:
        factory = self._factories.get(package)
        if factory is None:
            allowed = ", ".join(sorted(self._factories))
            raise ResourceFailedError(
                f"the package {package!r} is not supported by the sandbox; it has: {allowed}"
            )
        return factory()

    # -- operations ------------------------------------------------------------------------------------

    def _execute(self, plan: _Plan) -> None:
        if plan.wait_for is not None and not self.dry_run:
            plan.wait_for.wait()
            if plan.old is None or not plan.old.pending_replacement:
                raise ResourceFailedError("not replaced: what had to be deleted before it could not be")
        if plan.provider is None or plan.step.op is Op.SAME:
            self.checkpoint.put(plan.new, plan.old, write=plan.step.op is not Op.SAME and not self.dry_run)
            return
        if self.dry_run:
            self._foresee(plan)
            return
        if plan.step.op is Op.REPLACE and plan.step.delete_first and not plan.old_is_gone:
            self._settle_users(plan)
        with self._slots:
            if self.halted:
                raise ResourceFailedError("not started: another resource failed")
            with self.watched(plan.step):
                {Op.CREATE: self._create, Op.UPDATE: self._update, Op.REPLACE: self._replace}[plan.step.op](
                    plan
                )

    def _foresee(self, plan: _Plan) -> None:
        assert plan.provider is not None
        new, inputs = plan.new, plain(plan.new.inputs)
        if plan.step.op is Op.UPDATE:
            volatile = dict.fromkeys(plan.difference.volatile, UNKNOWN)
            outputs = {**plain(new.outputs), **inputs, **volatile}
        else:
            new.id = ""
            outputs = plan.provider.planned(Subject(new.urn, new.type), inputs)
        new.outputs = self._with_secrets(new, outputs)
        if plan.step.op is Op.REPLACE and not plan.step.delete_first and plan.old is not None:
            self.checkpoint.keep_condemned(new, plan.old, None)
        else:
            self.checkpoint.put(new, plan.old)

    def _create(self, plan: _Plan) -> None:
        assert plan.provider is not None
        new, provider = plan.new, plan.provider
        new.id, new.outputs, new.created, new.modified = "", {}, now_text(), now_text()
        subject = Subject(new.urn, new.type, "", new.custom_timeouts.get("create"))
        operation = self.checkpoint.begin("creating", new)
        try:
            new.id, outputs = provider.create(subject, plain(new.inputs))
            new.outputs = self._with_secrets(new, outputs)
        except PartialError as error:
            new.id, new.taint, new.init_errors = error.id, True, [str(error)]
            new.outputs = self._with_secrets(new, error.outputs)
            self._confirm(plan, operation)
            raise ResourceFailedError(str(error)) from error
        except ProviderError as error:
            self.checkpoint.end(operation)
            raise ResourceFailedError(str(error)) from error
        except Exception as error:
            # The request may have reached AWS: the operation stays pending, the next run looks for it.
            raise ResourceFailedError(f"{type(error).__name__}: {error}") from error
        self._confirm(plan, operation)

    def _confirm(self, plan: _Plan, operation: PendingOperation) -> None:
        if plan.step.op is Op.REPLACE and not plan.step.delete_first and plan.old is not None:
            self.checkpoint.keep_condemned(plan.new, plan.old, operation)
        else:
            self.checkpoint.put(plan.new, plan.old, operation)

    def _update(self, plan: _Plan) -> None:
        assert plan.provider is not None
        assert plan.old is not None
        new, old, provider = plan.new, plan.old, plan.provider
        new.modified = now_text()
        subject = Subject(new.urn, new.type, old.id, new.custom_timeouts.get("update"))
        operation = self.checkpoint.begin("updating", new)
        try:
            outputs = provider.update(subject, plain(old.inputs), plain(old.outputs), plain(new.inputs))
        except Exception as error:
            message = str(error) if isinstance(error, ProviderError) else f"{type(error).__name__}: {error}"
            old.init_errors = [message]
            self.checkpoint.end(operation)
            raise ResourceFailedError(message) from error
        new.outputs = self._with_secrets(new, outputs)
        self.checkpoint.put(new, old, operation)

    def _replace(self, plan: _Plan) -> None:
        if plan.step.delete_first and plan.old is not None:
            try:
                for item in plan.doomed:
                    self.delete(item, replacing=not item.delete)
                if not plan.old.pending_replacement:
                    self.delete(plan.old, replacing=True)
            finally:
                for item in plan.doomed:
                    if item.urn in self._doomed:
                        self._doomed[item.urn].set()
        self._create(plan)

    def delete(self, resource: Resource, *, replacing: bool = False) -> None:
        """Delete one resource. One that is to be created again stays in the checkpoint, marked so.

        Raises:
            ResourceFailedError: the provider could not delete it.
        """
        keeps = resource.retain_on_delete or resource.pending_replacement or resource.external
        is_provider = resource.type.startswith(urns.PROVIDER_PREFIX)
        operation = None
        if not self.dry_run and resource.custom and not keeps and not is_provider:
            provider = self.provider_of(resource)
            timeout = resource.custom_timeouts.get("delete")
            subject = Subject(resource.urn, resource.type, resource.id, timeout)
            operation = self.checkpoint.begin("deleting", resource)
            try:
                provider.delete(subject, plain(resource.inputs), plain(resource.outputs))
            except Exception as error:
                self.checkpoint.end(operation)
                message = (
                    str(error) if isinstance(error, ProviderError) else f"{type(error).__name__}: {error}"
                )
                raise ResourceFailedError(message) from error
        if replacing:
            resource.pending_replacement = True
            self.checkpoint.end(operation)
        else:
            self.checkpoint.remove(resource, operation)

    @contextmanager
    def watched(self, step: Step) -> Iterator[None]:
        """Tell about the start and the end of a step's operation."""
        started = time.monotonic()
        self._listener(StepStarted(step))
        try:
            yield
        except ResourceFailedError as error:
            self._listener(StepFinished(step, time.monotonic() - started, str(error)))
            raise
        self._listener(StepFinished(step, time.monotonic() - started))

    # -- small things ----------------------------------------------------------------------------------

    def recover(self) -> None:
        """Look for what an interrupted run began to create, and take it into the checkpoint.

        It is marked as tainted, so it is replaced when the program still wants it and deleted otherwise.
        """
        interrupted, self.checkpoint.interrupted = self.checkpoint.interrupted, []
        for operation in interrupted:
            item = operation.resource
            old = self._old.get(item.urn)
            if operation.type == "updating" and old is not None:
                old.init_errors = old.init_errors or ["the update was interrupted"]
            if operation.type != "creating":
                continue
            subject = Subject(item.urn, item.type)
            provider = self.provider_of(item)
            found = self._guard(functools.partial(provider.find, subject, plain(item.inputs)))
            known = {
                r.id for r in self.checkpoint.resources() if r.urn == item.urn and not r.pending_replacement
            }
            if found is None or found in known:
                continue
            self._take_in(
                successor(item, id=found, taint=True, init_errors=["its creation was interrupted"]), old
            )

    def _take_in(self, found: Resource, old: Resource | None) -> None:
        message = f"found {found.id}, which an interrupted run had created"
        self.tell(Diagnostic("warning", message, found.urn))
        if old is not None and not old.pending_replacement:
            found.delete = True
        elif old is not None:
            self.checkpoint.remove(old)
        self.checkpoint.adopt(found)
        if not found.delete:
            self._old[found.urn] = found

    def _with_secrets(self, resource: Resource, outputs: Properties) -> Properties:
        secret = {key for key, value in resource.inputs.items() if has_secret(value)}
        secret.update(resource.additional_secret_outputs)
        return {key: Secret(value) if key in secret else value for key, value in outputs.items()}

    def _guard(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except ProviderError as error:
            raise ResourceFailedError(str(error)) from error


def _because(step: Step) -> str:
    forcing = sorted(path for path, change in step.changes.items() if change.forces_replacement)
    return ", ".join(forcing) or step.reason or "its properties"
