"""Decides what is to be done for a registration: nothing, create, update or replace. Makes no change."""

from __future__ import annotations

import hashlib

from . import paths, replacement, urns
from .events import Change, Op, Step
from .goal import Goal
from .identity import previous
from .interface import Difference, Provider, Subject
from .providers import Providers
from .run import Plan, ResourceFailedError, Run, guarded, with_secrets
from .state import Resource
from .values import Properties, Secret, has_secret, plain


class Planner:
    """Plans one resource after the other."""

    def __init__(self, run: Run, providers: Providers, seed: bytes) -> None:
        self._run = run
        self._providers = providers
        self._seed = seed

    def plan(self, urn: str, goal: Goal) -> Plan:
        """Say what is to be done for a registration.

        Raises:
            ResourceFailedError: the inputs are wrong, or the change is not allowed.
        """
        old = previous(self._run, urn, goal)
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
            return self._providers.plan(new, old)
        if not goal.custom:
            op = Op.CREATE if old is None else Op.SAME
            return Plan(Step(op, urn, goal.parent, custom=False), new, old, None)
        return self._plan_custom(new, old, goal)

    def _plan_custom(self, new: Resource, old: Resource | None, goal: Goal) -> Plan:
        new.provider, provider = self._providers.find(urns.package_of(goal.type), goal.provider, goal.version)
        subject = Subject(new.urn, new.type, new.id)
        reason = ""
        if old is not None and old.init_errors and not old.taint and not old.pending_replacement:
            reason = "its last operation failed"
            if not self._reread(old, provider, subject):
                new.id, new.outputs, old.pending_replacement = "", {}, True
                new.inputs = self._checked(new, old, provider, goal, replacing=True)
                return Plan(Step(Op.CREATE, new.urn, new.parent, reason="it is gone"), new, old, provider)
        new.inputs = self._checked(new, old, provider, goal)
        if old is not None and reason:
            new.outputs = with_secrets(new, old.outputs)
        step = Step(Op.CREATE, new.urn, new.parent, reason=reason)
        plan = Plan(step, new, old, provider, wait_for=self._run.doomed.get(new.urn))
        if old is None:
            return plan
        if old.pending_replacement or new.urn in self._run.doomed:
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

    def _plan_replacement(self, plan: Plan, old: Resource) -> None:
        if old.protect and not old.taint:
            raise ResourceFailedError(
                f"it is protected and would have to be replaced because of {_because(plan.step)}; "
                "undo that change, or deploy once with protect=False"
            )
        if plan.step.delete_first:
            plan.doomed = replacement.in_the_way(self._run, self._providers, old, [])
            plan.users = replacement.ends_of_users(self._run, old)
            for item in [*plan.doomed, old]:
                item.pending_replacement = self._run.dry_run or item.pending_replacement
        plan.new.id = "" if self._run.dry_run else plan.new.id

    def _reread(self, old: Resource, provider: Provider, subject: Subject) -> bool:
        """Bring a resource of the checkpoint to what it really is; say whether it exists."""
        present = guarded(lambda: provider.read(subject, plain(old.inputs)))
        if present is not None:
            old.inputs, old.outputs = present
        return present is not None

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
        checked = guarded(lambda: provider.check(subject, before, plain(inputs), seed))
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
        found = guarded(
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


def _because(step: Step) -> str:
    forcing = sorted(path for path, change in step.changes.items() if change.forces_replacement)
    return ", ".join(forcing) or step.reason or "its properties"
