"""The `aws` provider: check, diff, create, read, update, delete and invoke over the table of kinds."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ReadTimeoutError

from sandbox.deployer import paths, urns
from sandbox.deployer.events import Change
from sandbox.deployer.goal import seconds
from sandbox.deployer.interface import (
    Checked,
    CheckFailure,
    Difference,
    PartialError,
    ProviderError,
    Subject,
)
from sandbox.deployer.values import UNKNOWN, Archive, Asset, Properties, has_unknown

from . import schema
from .aws import Aws, Call, describe, wait_until
from .invokes import INVOKES
from .kinds import Kind, document, equivalent
from .registry import KINDS

DEFAULTS_KEY = "__defaults"  # pulumi-terraform-bridge's name for the list of inputs the provider filled in
DEFAULT_REGION = "us-east-1"
_VISIBLE_SECONDS = 5.0
_CONFIG_KEYS = {"region", "defaultTags"}


class AwsProvider:
    """Serves the package `aws` on boto3."""

    def __init__(self, session: boto3.Session, endpoint_url: str | None = None) -> None:
        self._session = session
        self._endpoint_url = endpoint_url
        self._default_tags: dict[str, str] = {}
        self._aws: Aws | None = None

    @property
    def aws(self) -> Aws:
        """The account and region; set by `configure`."""
        if self._aws is None:
            raise ProviderError("the provider is not configured")
        return self._aws

    def configure(self, config: dict[str, str]) -> Properties:
        """Take region and default tags."""
        unknown = sorted(set(config) - _CONFIG_KEYS - {"version"})
        if unknown:
            allowed = ", ".join(f"aws:{key}" for key in sorted(_CONFIG_KEYS))
            raise ProviderError(
                f"configuration aws:{', aws:'.join(unknown)} is not implemented by the sandbox's provider; "
                f"it knows {allowed}"
            )
        region = config.get("region") or self._session.region_name or DEFAULT_REGION
        self._default_tags = _default_tags(config.get("defaultTags"))
        self._aws = Aws(self._session, region, self._endpoint_url)
        inputs = {"region": region}
        if self._default_tags:
            inputs["defaultTags"] = json.dumps({"tags": self._default_tags}, sort_keys=True)
        return inputs

    # -- inputs ----------------------------------------------------------------------------------------

    def check(self, subject: Subject, old: Properties | None, new: Properties, seed: bytes) -> Checked:
        """Validate against pulumi_aws's schema, fill in defaults and the physical name."""
        kind = self._kind(subject.type)
        known = schema.of(subject.type)
        problems: list[tuple[str, str]] = []
        inputs: Properties = {}
        for key, value in new.items():
            if key.startswith("__") or value is None:
                continue
            if key not in known.inputs:
                allowed = ", ".join(sorted(kind.properties))
                problems.append((key, f"unknown property of {subject.type}; it has: {allowed}"))
            elif key not in kind.properties:
                problems.append(
                    (key, f"{subject.type} has this property, but the sandbox does not implement it")
                )
            else:
                inputs[key] = schema.fit(value, known.inputs[key], key, problems)
        problems.extend(
            (key, f"required property of {subject.type} is missing")
            for key in sorted(known.required)
            if inputs.get(key) is None
        )
        for group in kind.one_of:
            if not any(inputs.get(key) is not None for key in group):
                problems.append((group[0], f"{subject.type} needs one of {', '.join(group)}"))  # noqa: PERF401
        if inputs.get("region", self.aws.region) not in (self.aws.region, UNKNOWN):
            problems.append(("region", f"the sandbox has the region {self.aws.region} only"))
        if kind.validate is not None:
            problems.extend(kind.validate(inputs))
        defaults = _fill_in(kind, subject, old, inputs, seed)
        if defaults:
            inputs[DEFAULTS_KEY] = defaults
        return Checked(inputs, tuple(CheckFailure(key, reason) for key, reason in problems))

    def diff(self, subject: Subject, old: Properties, outputs: Properties, new: Properties) -> Difference:
        """Compare, JSON by its meaning and sets without order; say what needs a new resource."""
        kind = self._kind(subject.type)
        changes: dict[str, Change] = {}
        for key in [*old, *(key for key in new if key not in old)]:
            if key.startswith("__") or (kind.tags and key == "tags"):
                continue
            before, after = _comparable(kind, key, old.get(key)), _comparable(kind, key, new.get(key))
            forces = kind.replaces(key)
            for path, change in paths.compare({key: before}, {key: after}).items():
                shown = change
                if key in kind.documents or key in kind.unordered:
                    path, shown = (key,), Change("update", old.get(key), new.get(key))  # noqa: PLW2901
                changes[paths.show(path)] = Change(shown.kind, shown.old, shown.new, forces)
        if kind.tags:
            changes.update(self._tag_changes(outputs, new))
        same_identity = kind.identify is not None and _same(kind.identify(old), kind.identify(new))
        made_up = kind.naming is not None and kind.naming.property in new.get(DEFAULTS_KEY, [])
        tops = {str(paths.parse(text)[0]) for text in changes}
        volatile = {
            item for key, group in kind.volatile.items() if tops and key in tops | {"*"} for item in group
        }
        return Difference(changes, same_identity and not made_up, frozenset(volatile))

    def _tag_changes(self, outputs: Properties, new: Properties) -> dict[str, Change]:
        before, after = outputs.get("tagsAll") or {}, self._all_tags(new)
        return {
            paths.show(path): change
            for path, change in paths.compare({"tags": before}, {"tags": after}).items()
        }

    def planned(self, subject: Subject, inputs: Properties) -> Properties:
        """Return the inputs, all tags, and unknowns for the rest."""
        kind = self._kind(subject.type)
        known = schema.of(subject.type)
        planned: Properties = {key: UNKNOWN for key in known.outputs if key not in known.inputs}
        planned.update(inputs)
        if kind.tags:
            planned["tagsAll"] = self._all_tags(inputs)
        return planned

    # -- operations ------------------------------------------------------------------------------------

    def create(self, subject: Subject, inputs: Properties) -> tuple[str, Properties]:
        """Create, then read back."""
        kind = self._kind(subject.type)
        call = self._call(subject, kind, inputs, "create")
        try:
            call.created(kind.create(call, inputs))
            return call.id, self._outputs(kind, call, inputs)
        except (ProviderError, ClientError, BotoCoreError) as error:
            message = str(error) if isinstance(error, ProviderError) else describe(error)
            if call.id:
                raise PartialError(message, call.id, dict(inputs)) from error
            if isinstance(error, (ReadTimeoutError, ConnectionClosedError)):
                raise  # nobody knows whether AWS did it
            raise ProviderError(message) from error

    def find(self, subject: Subject, inputs: Properties) -> str | None:
        """Return the id of a resource with the same name, if there is one."""
        kind = self._kind(subject.type)
        call = self._call(subject, kind, inputs)
        try:
            if kind.find_id is not None:
                return kind.find_id(call, inputs)
            if kind.identify is None:
                return None
            id_ = str(kind.identify(inputs))
            return id_ if kind.read(call, id_, inputs) is not None else None
        except (ClientError, BotoCoreError) as error:
            raise ProviderError(describe(error)) from error

    def read(self, subject: Subject, inputs: Properties) -> tuple[Properties, Properties] | None:
        """Return what is there now; inputs change only where AWS differs in meaning."""
        kind = self._kind(subject.type)
        call = self._call(subject, kind, inputs)
        try:
            live = kind.read(call, subject.id, inputs)
        except (ClientError, BotoCoreError) as error:
            raise ProviderError(describe(error)) from error
        if live is None:
            return None
        present = dict(inputs)
        for key, value in inputs.items():
            if key in live and key != "tags" and not _as_wanted(kind, key, value, live[key]):
                present[key] = live[key]
        if kind.tags and "tagsAll" in live and live["tagsAll"] != self._all_tags(inputs):
            own = {k: v for k, v in live["tagsAll"].items() if self._default_tags.get(k) != v}
            present["tags"] = own
        return present, self._merged(kind, present, live)

    def update(self, subject: Subject, old: Properties, outputs: Properties, new: Properties) -> Properties:
        """Change in place, then read back."""
        kind = self._kind(subject.type)
        call = self._call(subject, kind, new, "update")
        call.id = subject.id
        before = {**old, "tagsAll": outputs.get("tagsAll") or {}}
        after = {**new, "tagsAll": dict(call.tags)}
        changed = {key for key in {*old, *new} if old.get(key) != new.get(key) and not key.startswith("__")}
        try:
            if kind.update is None and changed - kind.local - {"tags"}:
                raise ProviderError(f"{subject.type} cannot be changed in place")
            if kind.update is not None:
                kind.update(call, subject.id, before, after)
            return self._outputs(kind, call, new)
        except (ClientError, BotoCoreError) as error:
            raise ProviderError(describe(error)) from error

    def delete(self, subject: Subject, inputs: Properties, outputs: Properties) -> None:
        """Delete; a resource that is gone is no error."""
        kind = self._kind(subject.type)
        call = self._call(subject, kind, inputs, "delete")
        try:
            kind.delete(call, subject.id, {**outputs, **inputs})
        except (ClientError, BotoCoreError) as error:
            raise ProviderError(describe(error)) from error

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer a function."""
        function = INVOKES.get(token)
        if function is None:
            raise ProviderError(
                f"the function {token} is not implemented by the sandbox's provider; it has: "
                + ", ".join(sorted(INVOKES))
            )
        try:
            return function(self.aws, arguments)
        except (ClientError, BotoCoreError) as error:
            raise ProviderError(describe(error)) from error

    # -- small things ----------------------------------------------------------------------------------

    def _kind(self, type_: str) -> Kind:
        kind = KINDS.get(type_)
        if kind is None:
            raise ProviderError(
                f"the resource type {type_} is not implemented by the sandbox's provider; it has: "
                + ", ".join(sorted(KINDS))
            )
        return kind

    def _call(self, subject: Subject, kind: Kind, inputs: Properties, operation: str = "") -> Call:
        """Return the call; without `custom_timeouts` a type's own `timeouts` block counts."""
        own = (inputs.get("timeouts") or {}).get(operation)
        limit = subject.timeout_seconds or (seconds(own) if own else None)
        return Call(self.aws, subject, self._all_tags(inputs) if kind.tags else {}, timeout_seconds=limit)

    def _all_tags(self, inputs: Properties) -> Any:
        tags = inputs.get("tags")
        return UNKNOWN if tags is UNKNOWN else {**self._default_tags, **(tags or {})}

    def _outputs(self, kind: Kind, call: Call, inputs: Properties) -> Properties:
        live = wait_until(
            lambda: kind.read(call, call.id, inputs), _VISIBLE_SECONDS, f"reading {call.id} back"
        )
        return self._merged(kind, inputs, live)

    def _merged(self, kind: Kind, inputs: Properties, live: Properties) -> Properties:
        known = schema.of(kind.type)
        merged: Properties = {"region": self.aws.region} if "region" in known.inputs else {}
        for key, value in live.items():
            if value is not None and (key in known.outputs or key in known.inputs):
                merged[key] = value
        for key, value in inputs.items():
            if not key.startswith("__") and (key not in merged or _as_wanted(kind, key, value, merged[key])):
                merged[key] = copy.deepcopy(value)
        return merged


def _default_tags(text: str | None) -> dict[str, str]:
    if not text:
        return {}
    try:
        block = json.loads(text)
    except ValueError as error:
        raise ProviderError(f"aws:defaultTags must be an object with `tags`, found {text!r}") from error
    tags = block.get("tags") if isinstance(block, Mapping) else None
    if not isinstance(tags, Mapping) or set(block) != {"tags"}:
        raise ProviderError(f"aws:defaultTags must be an object with `tags` alone, found {text!r}")
    return {str(key): str(value) for key, value in tags.items()}


def _fill_in(
    kind: Kind, subject: Subject, old: Properties | None, inputs: Properties, seed: bytes
) -> list[str]:
    filled = []
    for key, value in kind.defaults.items():
        if inputs.get(key) is None:
            inputs[key] = value
            filled.append(key)
    naming = kind.naming
    if naming is None or inputs.get(naming.property) is not None:
        return sorted(filled)
    kept = (old or {}).get(naming.property) if naming.property in (old or {}).get(DEFAULTS_KEY, []) else None
    prefix = inputs.get(naming.prefix) if naming.prefix else None
    if prefix is UNKNOWN:
        inputs[naming.property] = UNKNOWN
    elif kept is not None and (prefix is None or str(kept).startswith(str(prefix))):
        inputs[naming.property] = kept
    else:
        inputs[naming.property] = _made_up(kind, subject, inputs, seed, prefix)
    return sorted([*filled, naming.property])


def _made_up(kind: Kind, subject: Subject, inputs: Properties, seed: bytes, prefix: str | None) -> str:
    naming = kind.naming
    assert naming is not None
    if naming.verbatim:
        return urns.name_of(subject.urn)
    suffix = naming.suffix if naming.suffix_when and inputs.get(naming.suffix_when) else ""
    stem = prefix if prefix is not None else f"{naming.stem}{urns.name_of(subject.urn)}-"
    room = naming.maximum - 7 - len(suffix)
    name = f"{stem[:room]}{seed.hex()[:7]}{suffix}"
    return name.lower() if naming.lower else name


def _comparable(kind: Kind, key: str, value: Any) -> Any:
    if key in kind.documents and not has_unknown(value):
        return document(value)
    if key in kind.unordered and isinstance(value, list) and not has_unknown(value):
        return sorted(value, key=lambda item: json.dumps(item, sort_keys=True, default=str))
    return value


def _as_wanted(kind: Kind, key: str, wanted: Any, live: Any) -> bool:
    if isinstance(wanted, Asset | Archive):
        return True
    if key in kind.documents:
        return bool(document(wanted) == document(live))
    return equivalent(wanted, live)


def _same(one: Any, other: Any) -> bool:
    return not has_unknown(one) and not has_unknown(other) and bool(one == other)
