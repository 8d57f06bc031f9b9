"""Compares the checkpoint with what is really there, and makes it true again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from . import paths, urns
from .engine import Engine, ResourceFailedError
from .events import Op, Step
from .interface import ProviderError, Subject
from .state import Resource, now_text
from .values import Properties, Secret, has_secret, plain


@dataclass(frozen=True)
class Finding:
    """A resource that is gone (`present` is None) or differs from the checkpoint."""

    resource: Resource
    step: Step
    present: tuple[Properties, Properties] | None


def look(engine: Engine) -> list[Finding]:
    """Read every resource; return those that are gone or have changed. Nothing is written."""
    readable = [
        item
        for item in engine.checkpoint.resources()
        if item.custom and not item.type.startswith(urns.PROVIDER_PREFIX) and not item.pending_replacement
    ]
    with ThreadPoolExecutor(engine.parallel, thread_name_prefix="refresh") as pool:
        found = list(pool.map(lambda item: _read(engine, item), readable))
    return [finding for finding in found if finding is not None]


def _read(engine: Engine, item: Resource) -> Finding | None:
    step = Step(Op.REFRESH, item.urn, item.parent)
    try:
        with engine.watched(step):
            present = _ask(engine, item)
    except ResourceFailedError as error:
        engine.fail(item.urn, str(error))
        return None
    if present is None:
        return Finding(item, Step(Op.DELETE, item.urn, item.parent, reason="gone"), None)
    inputs, outputs = present
    changed = {**paths.compare(plain(item.outputs), outputs), **paths.compare(plain(item.inputs), inputs)}
    if not changed:
        return None
    step = Step(Op.UPDATE, item.urn, item.parent)
    step.changes = {paths.show(path): change for path, change in changed.items()}
    return Finding(item, step, (_marked(inputs, item.inputs), _marked(outputs, item.outputs)))


def _ask(engine: Engine, item: Resource) -> tuple[Properties, Properties] | None:
    try:
        provider = engine.provider_of(item)
        return provider.read(Subject(item.urn, item.type, item.id), plain(item.inputs))
    except ProviderError as error:
        raise ResourceFailedError(str(error)) from error


def _marked(new: Properties, old: Properties) -> Properties:
    def keep(key: str, value: Any) -> Any:
        return Secret(value) if has_secret(old.get(key)) else value

    return {key: keep(key, value) for key, value in new.items()}


def apply(engine: Engine, findings: list[Finding]) -> None:
    """Take the findings into the checkpoint: gone resources leave it, changed ones are updated."""
    for finding in findings:
        item = finding.resource
        engine.steps.append(finding.step)
        if finding.present is None:
            engine.checkpoint.forget_references(item)
            engine.checkpoint.remove(item)
        else:
            item.inputs, item.outputs = finding.present
            item.modified = now_text()
    engine.checkpoint.write()
