"""Finds out which resource of the checkpoint a registration is about; renames it when an alias says so."""

from __future__ import annotations

from collections.abc import Iterator

from . import urns
from .goal import Alias, Goal
from .run import Run
from .state import Resource


def previous(run: Run, urn: str, goal: Goal) -> Resource | None:
    """Return the resource of an earlier run that this one is: by its URN, an alias, or its parent's alias."""
    for candidate in [urn, *_former_urns(run, urn, goal)]:
        old = run.old.get(candidate)
        if old is None or (candidate != urn and candidate in run.confirmed):
            continue
        if candidate != urn:
            run.renamed[urn] = candidate
            del run.old[candidate]
            old.urn = urn
            run.old[urn] = old
            run.checkpoint.rename(candidate, urn)
        return old
    return None


def _former_urns(run: Run, urn: str, goal: Goal) -> Iterator[str]:
    """Yield the URNs a resource may have had: its aliases, and those that follow from its parent's."""
    parents = [goal.parent]
    if goal.parent in run.renamed:
        parents.append(run.renamed[goal.parent])
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
                alias.stack or run.project.stack,
                alias.project or run.project.name,
                chosen,
                alias.type or goal.type,
                name,
            )
            if candidate != urn:
                yield candidate
