"""What has to go before a resource can be deleted in order to be made again."""

from __future__ import annotations

import threading

from .interface import Subject
from .providers import Providers
from .run import ResourceFailedError, Run
from .state import Resource
from .values import UNKNOWN, plain


def in_the_way(run: Run, providers: Providers, root: Resource, decided: list[Resource]) -> list[Resource]:
    """Return what uses `root` and cannot live on, users first; `decided` is part of it.

    Those are resources with a property that `root` gives only after its creation, where that change needs a
    replacement; and old ones that this run, or a failed one, has replaced already. Called with the planning
    lock held.

    Raises:
        ResourceFailedError: one of them is protected.
    """
    base = run.checkpoint.base()
    chosen, gone = set(map(id, decided)), {root.urn}
    fresh: list[Resource] = []
    for item in base:
        touched = {key for key, urns in item.property_dependencies.items() if gone.intersection(urns)}
        if id(item) not in chosen:
            settled = item.pending_replacement or (item.urn in run.confirmed and not item.delete)
            if item is root or not touched or not item.custom or settled:
                continue
            if not item.delete and not _is_replaced(providers, item, touched):
                continue
            if item.protect and not item.delete:
                raise ResourceFailedError(
                    f"{root.urn} must be deleted before it is replaced, which needs {item.urn} to be "
                    "replaced, and that is protected"
                )
            fresh.append(item)
            chosen.add(id(item))
        gone.add(item.urn)
    for item in fresh:
        if not item.delete:
            run.doomed.setdefault(item.urn, threading.Event())
    return [item for item in reversed(base) if id(item) in chosen]


def _is_replaced(providers: Providers, item: Resource, touched: set[str]) -> bool:
    inputs = plain(item.inputs)
    changed = {key: UNKNOWN if key in touched else value for key, value in inputs.items()}
    subject = Subject(item.urn, item.type, item.id)
    return providers.of(item).diff(subject, inputs, plain(item.outputs), changed).replaces


def ends_of_users(run: Run, root: Resource) -> list[threading.Event]:
    """Return the ends of this run's operations on what used `root` before, directly or through others."""
    gone, ends = {root.urn}, []
    for urn, item in run.old.items():
        if urn != root.urn and gone & item.references():
            gone.add(urn)
            if urn in run.ended:
                ends.append(run.ended[urn])
    return ends
