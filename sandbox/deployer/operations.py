"""Carries out plans through the providers and writes the checkpoint after each operation."""

from __future__ import annotations

from . import replacement, urns
from .events import Op
from .interface import PartialError, ProviderError, Subject
from .providers import Providers
from .run import Plan, ResourceFailedError, Run, message_of, with_secrets
from .state import PendingOperation, Resource, now_text
from .values import UNKNOWN, plain


class Operations:
    """Creates, updates, replaces and deletes; on the thread it is called from, `parallel` at once."""

    def __init__(self, run: Run, providers: Providers) -> None:
        self._run = run
        self._providers = providers

    def execute(self, plan: Plan) -> None:
        """Do what is planned and record it.

        Raises:
            ResourceFailedError: it failed; the checkpoint says how far it came.
        """
        try:
            self._execute(plan)
        finally:
            # Also when nothing was deleted: what waits for that must hear that it will not be.
            self._wake(plan.doomed)

    def _execute(self, plan: Plan) -> None:
        if plan.wait_for is not None and not self._run.dry_run:
            plan.wait_for.wait()
            if plan.old is None or not plan.old.pending_replacement:
                raise ResourceFailedError("not replaced: what had to be deleted before it could not be")
        if plan.provider is None or plan.step.op is Op.SAME:
            self._run.checkpoint.put(
                plan.new, plan.old, write=plan.step.op is not Op.SAME and not self._run.dry_run
            )
            return
        if self._run.dry_run:
            self._foresee(plan)
            return
        if plan.step.op is Op.REPLACE and plan.step.delete_first and not plan.old_is_gone:
            self._settle_users(plan)
        with self._run.slots:
            if self._run.halted:
                raise ResourceFailedError("not started: another resource failed")
            with self._run.watched(plan.step):
                {Op.CREATE: self._create, Op.UPDATE: self._update, Op.REPLACE: self._replace}[plan.step.op](
                    plan
                )

    def _foresee(self, plan: Plan) -> None:
        assert plan.provider is not None
        new, inputs = plan.new, plain(plan.new.inputs)
        if plan.step.op is Op.UPDATE:
            volatile = dict.fromkeys(plan.difference.volatile, UNKNOWN)
            outputs = {**plain(new.outputs), **inputs, **volatile}
        else:
            new.id = ""
            outputs = plan.provider.planned(Subject(new.urn, new.type), inputs)
        new.outputs = with_secrets(new, outputs)
        if plan.step.op is Op.REPLACE and not plan.step.delete_first and plan.old is not None:
            self._run.checkpoint.keep_condemned(new, plan.old, None)
        else:
            self._run.checkpoint.put(new, plan.old)

    def _create(self, plan: Plan) -> None:
        assert plan.provider is not None
        new, provider = plan.new, plan.provider
        new.id, new.outputs, new.created, new.modified = "", {}, now_text(), now_text()
        subject = Subject(new.urn, new.type, "", new.custom_timeouts.get("create"))
        operation = self._run.checkpoint.begin("creating", new)
        try:
            new.id, outputs = provider.create(subject, plain(new.inputs))
            new.outputs = with_secrets(new, outputs)
        except PartialError as error:
            new.id, new.taint, new.init_errors = error.id, True, [str(error)]
            new.outputs = with_secrets(new, error.outputs)
            self._confirm(plan, operation)
            raise ResourceFailedError(str(error)) from error
        except ProviderError as error:
            self._run.checkpoint.end(operation)
            raise ResourceFailedError(str(error)) from error
        except Exception as error:
            # The request may have reached AWS: the operation stays pending, the next run looks for it.
            raise ResourceFailedError(message_of(error)) from error
        self._confirm(plan, operation)

    def _confirm(self, plan: Plan, operation: PendingOperation) -> None:
        if plan.step.op is Op.REPLACE and not plan.step.delete_first and plan.old is not None:
            self._run.checkpoint.keep_condemned(plan.new, plan.old, operation)
        else:
            self._run.checkpoint.put(plan.new, plan.old, operation)

    def _update(self, plan: Plan) -> None:
        assert plan.provider is not None
        assert plan.old is not None
        new, old, provider = plan.new, plan.old, plan.provider
        new.modified = now_text()
        subject = Subject(new.urn, new.type, old.id, new.custom_timeouts.get("update"))
        operation = self._run.checkpoint.begin("updating", new)
        try:
            outputs = provider.update(subject, plain(old.inputs), plain(old.outputs), plain(new.inputs))
        except Exception as error:
            old.init_errors = [message_of(error)]
            self._run.checkpoint.end(operation)
            raise ResourceFailedError(message_of(error)) from error
        new.outputs = with_secrets(new, outputs)
        self._run.checkpoint.put(new, old, operation)

    def _replace(self, plan: Plan) -> None:
        if plan.step.delete_first and plan.old is not None:
            try:
                for item in plan.doomed:
                    self.delete(item, replacing=not item.delete)
                if not plan.old.pending_replacement:
                    self.delete(plan.old, replacing=True)
            finally:
                self._wake(plan.doomed)
        self._create(plan)

    def _wake(self, doomed: list[Resource]) -> None:
        """Let the registrations go on that wait for the deletion of what they replace."""
        for item in doomed:
            if item.urn in self._run.doomed:
                self._run.doomed[item.urn].set()

    def delete(self, resource: Resource, *, replacing: bool = False) -> None:
        """Delete one resource. One that is to be created again stays in the checkpoint, marked so.

        Raises:
            ResourceFailedError: the provider could not delete it.
        """
        keeps = resource.retain_on_delete or resource.pending_replacement or resource.external
        is_provider = resource.type.startswith(urns.PROVIDER_PREFIX)
        operation = None
        if not self._run.dry_run and resource.custom and not keeps and not is_provider:
            provider = self._providers.of(resource)
            timeout = resource.custom_timeouts.get("delete")
            subject = Subject(resource.urn, resource.type, resource.id, timeout)
            operation = self._run.checkpoint.begin("deleting", resource)
            try:
                provider.delete(subject, plain(resource.inputs), plain(resource.outputs))
            except Exception as error:
                # It may be gone all the same: the next run looks before it relies on it.
                resource.init_errors = [message_of(error)]
                self._run.checkpoint.end(operation)
                raise ResourceFailedError(message_of(error)) from error
        if replacing:
            resource.pending_replacement = True
            self._run.checkpoint.end(operation)
        else:
            self._run.checkpoint.remove(resource, operation)

    def _settle_users(self, plan: Plan) -> None:
        """Wait for what stops using a resource in this run, then see what is left to delete first.

        An operation waits for ones that were planned before it only, so they never wait for each other.
        """
        assert plan.old is not None
        for event in plan.users:
            event.wait()
        with self._run.planning:
            plan.doomed = replacement.in_the_way(self._run, self._providers, plan.old, plan.doomed)
