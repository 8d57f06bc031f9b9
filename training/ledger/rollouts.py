"""Rollouts: who may change what an endpoint serves, what serves, and what served before.

There is one record per model. A claim is a conditional write, so of two operations one gets it; everything
else is written on condition that the claim is still held.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from training.ledger.attributes import pack
from training.ledger.core import Core
from training.ledger.item import Item, Record

SORT_KEY = "rollout"
MAX_HISTORY = 20

# What becomes of a release, as the package says under `release`.
LIVE, SUPERSEDED, FAILED, ROLLED_BACK, REFUSED = "live", "superseded", "failed", "rolled_back", "refused"
# Of a version that is tried beside another; its approval alone does not release it.
EXPERIMENT = "experiment"
MARKS = (LIVE, SUPERSEDED, FAILED, ROLLED_BACK, REFUSED, EXPERIMENT)
# Written by a person who approves a version anew; no mark, so that it is released again.
RETRY = "retry"

# Phases of a rollout; free is no phase.
CLAIMED, UPDATING, RESTORING, ENDING = "claimed", "updating", "restoring", "ending"


@dataclass(frozen=True, kw_only=True)
class Served:
    """A configuration that was in service, or that was tried.

    Attributes:
        config: Its name.
        package_arn: The version it serves; empty for the seed.
        version: For people.
        since: When it came into service, seconds since 1970; 0 when that is not known.
        ended: When it went, seconds since 1970.
        why: Why it went.
        sound: Whether it may be gone back to: false of what was rolled back or failed.
    """

    config: str
    package_arn: str = ""
    version: str = ""
    since: float = 0
    ended: float = 0
    why: str = ""
    sound: bool = True


@dataclass(frozen=True, kw_only=True)
class RolloutRecord(Record):
    """The claim on a model's endpoint, the rollout under it, and what serves.

    Attributes:
        model: Whose endpoint.
        owner: ARN of the execution that holds the claim; empty when it is free.
        epoch: How often a claim was taken: whoever decided on an older one has seen another world.
        operation: What it does: ``release``, ``rollback``, or one of an experiment.
        package_arn: The version that is brought into service; empty for the seed.
        version: Of that, for people.
        from_config: What served when the claim was made: the way back.
        to_config: What is to serve.
        phase: claimed, updating, restoring, ending.
        passed: What has been found good: passport, check, sample.
        token: Time of the endpoint's last change when an update was about to be asked for.
        tries: Updates that were refused or taken back by SageMaker.
        checks: Checks that were begun.
        adopted: Whether the owner took it over from an execution that had died.
        outcome: What a rollout that is being ended comes to: failed, rolled_back, refused, withdrawn.
        failure: Why, in words.
        reason: Why somebody asked for it.
        by: Who did.
        stop: Why it is to be stopped; empty when nobody asked for that.
        started_at: When the claim was made, seconds since 1970.
        config: What serves, as far as is known.
        serving_package: Its version; empty for the seed.
        serving_version: Of that, for people.
        serving_since: Since when, seconds since 1970.
        previous_config: What a rollback goes back to first.
        previous_package: Its version; empty for the seed.
        history: What served before, newest first.
        experiment: Id of the experiment that runs on the endpoint; empty for none.
        last_owner: Execution that ended last.
        last_operation: What it did, as ``operation`` and what it was about.
        last_outcome: What it came to: live, or one of ``outcome``.
        last_reason: Why.
    """

    prefix: ClassVar[str] = SORT_KEY
    model: str
    owner: str = ""
    epoch: int = 0
    operation: str = ""
    package_arn: str = ""
    version: str = ""
    from_config: str = ""
    to_config: str = ""
    phase: str = ""
    passed: tuple[str, ...] = ()
    token: str = ""
    tries: int = 0
    checks: int = 0
    adopted: bool = False
    outcome: str = ""
    failure: str = ""
    reason: str = ""
    by: str = ""
    stop: str = ""
    started_at: float = 0
    config: str = ""
    serving_package: str = ""
    serving_version: str = ""
    serving_since: float = 0
    previous_config: str = ""
    previous_package: str = ""
    history: tuple[Served, ...] = ()
    experiment: str = ""
    last_owner: str = ""
    last_operation: str = ""
    last_outcome: str = ""
    last_reason: str = ""

    @property
    def sort_key(self) -> str:
        """The item's ``sk``."""
        return SORT_KEY

    def to_item(self) -> Item:
        """The item, with the history as plain data."""
        return Record.to_item(replace(self, history=())) | {"history": pack(plain(self.history))}

    @classmethod
    def from_item(cls, item: Mapping[str, Mapping[str, Any]]) -> Self:
        """Read an item; what a later version added to the history is ignored."""
        found = super().from_item(item)
        known = {field.name for field in dataclasses.fields(Served)}
        history: Any = found.history
        served = (Served(**{k: v for k, v in one.items() if k in known}) for one in history)
        return replace(found, passed=tuple(found.passed), history=tuple(served))


class Rollouts(Core):
    """The claim on an endpoint, and the record of what it serves."""

    def rollout(self, model: str) -> RolloutRecord:
        """The record; an empty one when there never was a rollout."""
        item = self._get(model, SORT_KEY)
        return RolloutRecord.from_item(item) if item else RolloutRecord(model=model)

    def claim_rollout(
        self, model: str, owner: str, seen: RolloutRecord, /, **changes: Any
    ) -> RolloutRecord | None:
        """Take the claim, and write down what is done under it.

        Race: of many callers one gets the record, the others None; so does who has seen it free before
        another took it and freed it again, because what was decided then is out of date.

        Args:
            model: Whose endpoint.
            owner: Who takes it.
            seen: The record that this was decided on: free, or of an owner who has died.
            changes: Fields of the record.
        """
        unclaimed = "attribute_not_exists(#epoch)"
        condition = f"#owner = :was AND #epoch = :epoch OR {unclaimed}"
        if seen.owner or seen.epoch:
            condition = "#owner = :was AND #epoch = :epoch"
        values = {"was": seen.owner, "epoch": seen.epoch}
        return self._change(model, {**changes, "owner": owner, "epoch": seen.epoch + 1}, condition, values)

    def update_rollout(self, model: str, holder: str, /, **changes: Any) -> RolloutRecord | None:
        """Write what became of a rollout, as its owner; race: None when another has the claim."""
        return self._change(model, changes, "#owner = :holder", {"holder": holder})

    def holds_rollout(self, model: str, owner: str) -> bool:
        """Whether a claim is held, asked of the table itself."""
        return self.rollout(model).owner == owner

    def stop_rollout(self, model: str, owner: str, reason: str) -> RolloutRecord | None:
        """Ask a rollout to stop; race: None when it has ended meanwhile, the first reason stays."""
        condition = "#owner = :holder AND (attribute_not_exists(#stop) OR #stop = :none)"
        return self._change(model, {"stop": reason}, condition, {"holder": owner, "none": ""})

    def _change(
        self, model: str, changes: Mapping[str, Any], condition: str, values: Mapping[str, Any]
    ) -> RolloutRecord | None:
        written = {k: plain(v) if k == "history" else v for k, v in changes.items()}
        item = self._update(model, SORT_KEY, written, condition, values)
        return RolloutRecord.from_item(item) if item else None


def plain(history: Sequence[Served]) -> list[dict[str, Any]]:
    """A history as JSON's types, no longer than is kept."""
    return [dataclasses.asdict(one) for one in history[:MAX_HISTORY]]
