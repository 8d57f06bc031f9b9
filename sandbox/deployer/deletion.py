"""Deletes what is no longer wanted: dependents first, independent resources at the same time."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from . import urns
from .engine import Engine, ResourceFailedError
from .events import Op, Step
from .state import Resource


def delete_leftovers(engine: Engine, *, keep_protected: bool = False) -> list[Resource]:
    """Delete every resource of the checkpoint that this run has not confirmed.

    Also what an earlier run replaced and then could not delete: only now, as Pulumi does, because until its
    users were updated they may still use it. Protected ones are refused before anything is deleted, or are
    kept with what they depend on, and returned, as `pulumi destroy --exclude-protected` does. After a failure
    the rest is still deleted, except what the failed one depends on.
    """
    condemned = engine.checkpoint.base()
    protected = [
        item for item in condemned if item.protect and not item.delete and not item.pending_replacement
    ]
    if keep_protected:
        kept = _with_what_they_need(protected, condemned)
        _Deletion(engine, [item for item in condemned if item.urn not in kept]).run()
        return protected
    for item in protected:
        engine.fail(item.urn, "it is protected and would be deleted; deploy once with protect=False first")
    if not protected:
        _Deletion(engine, condemned).run()
    return []


def _with_what_they_need(resources: list[Resource], among: list[Resource]) -> set[str]:
    """URNs of the resources and of all they refer to: parents, providers, dependencies, and theirs."""
    by_urn = {item.urn: item for item in among}
    kept: set[str] = set()
    waiting = [item.urn for item in resources]
    while waiting:
        urn = waiting.pop()
        if urn in by_urn and urn not in kept:
            kept.add(urn)
            waiting.extend(by_urn[urn].references())
    return kept


class _Deletion:
    def __init__(self, engine: Engine, condemned: list[Resource]) -> None:
        self._engine = engine
        self._waiting = list(condemned)
        self._running: dict[Future[None], Resource] = {}
        self._stuck: list[Resource] = []
        self._going = {item.urn for item in condemned}

    def run(self) -> None:
        with ThreadPoolExecutor(self._engine.parallel, thread_name_prefix="delete") as pool:
            while self._waiting or self._running:
                for item in self._ready():
                    self._waiting.remove(item)
                    self._running[pool.submit(self._delete, item)] = item
                if not self._running:
                    return
                done, _ = wait(self._running, return_when=FIRST_COMPLETED)
                for future in done:
                    self._settle(future)

    def _settle(self, future: Future[None]) -> None:
        item = self._running.pop(future)
        try:
            future.result()
        except ResourceFailedError as error:
            self._engine.fail(item.urn, str(error))
            self._stuck.append(item)

    def _ready(self) -> list[Resource]:
        if self._engine.cancelled.is_set():
            return []
        remaining = [*self._waiting, *self._running.values(), *self._stuck]
        needed = {urn for item in remaining for urn in item.references()}
        return [item for item in self._waiting if item.urn not in needed]

    def _delete(self, item: Resource) -> None:
        step = Step(Op.DELETE, item.urn, item.parent, custom=item.custom)
        if item.delete or (item.pending_replacement and self._engine.registered(item.urn)):
            step.reason = "replaced"
        if item.deleted_with in self._going:
            item.retain_on_delete = True
        hidden = item.type.startswith(urns.PROVIDER_PREFIX)  # as Pulumi hides default providers
        if not step.reason and not hidden:
            self._engine.steps.append(step)
        if self._engine.dry_run or not item.custom or hidden:
            self._engine.delete(item)
            return
        with self._engine.watched(step):
            self._engine.delete(item)
