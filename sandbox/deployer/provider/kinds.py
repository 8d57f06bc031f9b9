"""How a resource type is described to the provider: data, and the functions that talk to AWS."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.deployer.values import Properties

from .aws import Call

Create = Callable[[Call, Properties], str]
Read = Callable[[Call, str, Properties], Properties | None]
Update = Callable[[Call, str, Properties, Properties], None]
Delete = Callable[[Call, str, Properties], None]
Identify = Callable[[Properties], Any]
Validate = Callable[[Properties], list[tuple[str, str]]]

ALL = frozenset({"*"})


@dataclass(frozen=True)
class Naming:
    """A physical name made up when none is given: `<logical name>-<7 hex digits>`, as pulumi-aws does.

    `stem` stands before it; `suffix` after it when the input `suffix_when` is true; `verbatim`: no digits.
    """

    property: str = "name"
    prefix: str | None = "namePrefix"
    maximum: int = 255
    lower: bool = False
    suffix_when: str = ""
    suffix: str = ""
    stem: str = ""
    verbatim: bool = False


@dataclass(frozen=True)
class Kind:
    """One resource type.

    properties: inputs that are implemented; any other that pulumi-aws has is refused by name.
    replace: inputs whose change needs a new resource, from the pages of the Terraform AWS provider.
    documents: inputs holding JSON, compared by meaning. unordered: lists compared as sets.
    volatile: outputs that an update of the named inputs changes; `*` stands for any input.
    identify: what of the inputs makes two resources collide; with it an interrupted creation is found again.
    """

    type: str
    properties: frozenset[str]
    create: Create
    read: Read
    delete: Delete
    update: Update | None = None
    replace: frozenset[str] = frozenset()
    naming: Naming | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    documents: frozenset[str] = frozenset()
    unordered: frozenset[str] = frozenset()
    volatile: Mapping[str, frozenset[str]] = field(default_factory=dict)
    tags: bool = False
    identify: Identify | None = None
    find_id: Callable[[Call, Properties], str | None] | None = None
    validate: Validate | None = None
    one_of: tuple[tuple[str, ...], ...] = ()
    # Inputs that only steer the provider (`forceDestroy`): a change is recorded, AWS is not asked.
    local: frozenset[str] = frozenset()

    def replaces(self, name: str) -> bool:
        """Say whether a change of an input needs a new resource."""
        return name in self.replace or (self.replace == ALL and name not in {"tags", "tagsAll", *self.local})


def names(text: str) -> frozenset[str]:
    """Return a set of property names written in one line."""
    return frozenset(text.split())


def document(value: Any) -> Any:
    """Return the meaning of a JSON text; a text that is no JSON stands for itself."""
    if not isinstance(value, str):
        return value
    try:
        return _without_order(json.loads(value))
    except ValueError:
        return value


# In IAM policies these are sets, and one value may stand without its list.
# Source: IAM user guide, "Grammar of the IAM JSON policy language".
_SETS = {"Action", "NotAction", "Resource", "NotResource", "AWS", "Service", "Federated", "CanonicalUser"}


def _without_order(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _without_order(item, name) for name, item in value.items()}
    if isinstance(value, list):
        items = [_without_order(item) for item in value]
        if key in _SETS and all(isinstance(item, str) for item in items):
            ordered = sorted(items)
            return ordered[0] if len(ordered) == 1 else ordered
        return items
    return value


def equivalent(wanted: Any, live: Any) -> bool:
    """Say whether AWS has what was asked for; what AWS adds by itself does not count, nor does order."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        return all(equivalent(item, live.get(key)) for key, item in wanted.items() if item is not None)
    if isinstance(wanted, list) and isinstance(live, list):
        rest = list(live)
        for item in wanted:
            match = next((index for index, other in enumerate(rest) if equivalent(item, other)), None)
            if match is None:
                return False
            del rest[match]
        return not rest
    if isinstance(wanted, bool) or isinstance(live, bool):
        return str(wanted).lower() == str(live).lower() or (not wanted and live is None)
    if isinstance(wanted, int | float) and isinstance(live, int | float | str):
        try:
            return float(live) == float(wanted)
        except ValueError:
            return False
    if wanted in ("", [], {}) and live in (None, "", [], {}):
        return True
    return bool(wanted == live)


def attribute_text(value: Any) -> str:
    """Return a value as SNS and SQS take attributes: text, policies as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict) else str(value)


def tag_map(tags: list[dict[str, str]]) -> dict[str, str]:
    """Return the tags of an AWS answer as a mapping; Step Functions writes the members in lower case."""
    entries = ({member.lower(): text for member, text in tag.items()} for tag in tags)
    return {entry["key"]: entry["value"] for entry in entries}


def retag(
    old: Properties, new: Properties, untag: Callable[[list[str]], Any], tag: Callable[[], Any]
) -> None:
    """Take away the tags that are gone and set all others, where any has changed."""
    removed = sorted(set(old["tagsAll"]) - set(new["tagsAll"]))
    if removed:
        untag(removed)
    if old["tagsAll"] != new["tagsAll"] and new["tagsAll"]:
        tag()


def again(put: Create) -> Update:
    """Return the update of a type whose creation overwrites."""

    def update(call: Call, _id: str, _old: Properties, new: Properties) -> None:
        put(call, new)

    return update
