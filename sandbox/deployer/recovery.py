"""Finds what an interrupted run left behind."""

from __future__ import annotations

import functools

from .events import Diagnostic
from .interface import Subject
from .providers import Providers
from .run import Run, guarded
from .state import PendingOperation, Resource, successor
from .values import plain


def recover(run: Run, providers: Providers) -> None:
    """Look for what an interrupted run began to create, and take it into the checkpoint.

    It is marked as tainted, so it is replaced when the program still wants it and deleted otherwise.
    """
    for operation in list(run.checkpoint.interrupted):
        _recover(run, providers, operation)
        run.checkpoint.interrupted.remove(operation)


def _recover(run: Run, providers: Providers, operation: PendingOperation) -> None:
    item = operation.resource
    old = run.old.get(item.urn)
    if operation.type != "creating" and old is not None:
        old.init_errors = old.init_errors or [f"{operation.type} it was interrupted"]
    if operation.type != "creating":
        return
    subject = Subject(item.urn, item.type)
    provider = providers.of(item)
    found = guarded(functools.partial(provider.find, subject, plain(item.inputs)))
    known = {r.id for r in run.checkpoint.resources() if r.urn == item.urn and not r.pending_replacement}
    if found is None or found in known:
        return
    _take_in(run, successor(item, id=found, taint=True, init_errors=["its creation was interrupted"]), old)


def _take_in(run: Run, found: Resource, old: Resource | None) -> None:
    message = f"found {found.id}, which an interrupted run had created"
    run.tell(Diagnostic("warning", message, found.urn))
    if old is not None and not old.pending_replacement:
        found.delete = True
    run.checkpoint.adopt(found, None if found.delete else old)
    if not found.delete:
        run.old[found.urn] = found
