"""Known mistakes of release machinery, each as the smallest change of ours that makes it.

The first ones are other people's: hashicorp/terraform-provider-aws issues 46663 and 48997 (an update that
SageMaker takes back counts as done; what serves is deleted), and issue 39099 (an update that fails is told as
one that worked).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from inference.release import protocol
from inference.release.actions import (
    Action,
    Claim,
    End,
    Mark,
    Note,
    Pin,
    RequestStop,
    RunCheck,
    SetStopAlarm,
    Update,
    Wait,
    note,
)
from inference.release.world import (
    APPROVED,
    IN_SERVICE,
    MOVING,
    Check,
    Observation,
    Operation,
    Rollback,
)
from tests.inference.release.state import Decide, Rules
from training.ledger.rollouts import ENDING, RESTORING, UPDATING

Change = Callable[[Action, Observation, Operation, str], Action]


def _then(change: Change) -> Decide:
    """The protocol, with its decision changed."""

    def decide(seen: Observation, operation: Operation, me: str) -> Action:
        return change(protocol.next_action(seen, operation, me), seen, operation, me)

    return decide


def _noted(action: Action) -> dict[str, Any]:
    return dict(action.changes) if isinstance(action, Note) else {}


def _frees(action: Action) -> bool:
    return _noted(action).get("owner") == ""


def silent_rollback_is_success() -> Rules:
    """InService again means done, whatever the configuration is."""

    def see(seen: Observation, me: str) -> Observation:
        record, endpoint = seen.rollout, seen.endpoint
        touched = record.phase == UPDATING and endpoint.token != record.token
        if record.owner == me and touched and endpoint.status == IN_SERVICE:
            return replace(seen, endpoint=replace(endpoint, config=record.to_config))
        return seen

    return Rules(see=see)


def old_configuration_is_deleted() -> Rules:
    """What an update replaced is deleted when the update is over."""
    return Rules(deletes=True)


def record_before_the_update() -> Rules:
    """The record says what is to serve, not what does."""

    def change(action: Action, seen: Observation, _: Operation, __: str) -> Action:
        if not _frees(action):
            return action
        new = {"config": seen.rollout.to_config, "serving_package": seen.rollout.package_arn}
        return note(**(_noted(action) | new))

    return Rules(decide=_then(change))


def claim_is_skipped() -> Rules:
    """Everybody believes to hold the claim."""

    def see(seen: Observation, me: str) -> Observation:
        record = seen.rollout
        return replace(seen, rollout=replace(record, owner=me)) if record.owner else seen

    return Rules(see=see, reread_claim=False)


def approval_is_not_read_again() -> Rules:
    """The approval that the event brought counts, whatever has happened since."""

    def see(seen: Observation, me: str) -> Observation:
        if seen.rollout.owner != me:
            return seen
        return replace(seen, packages=tuple(replace(one, approval=APPROVED) for one in seen.packages))

    return Rules(see=see, reread_approval=False)


def approval_is_read_only_when_deciding() -> Rules:
    """Between the decision and the call nobody looks again."""
    return Rules(reread_approval=False)


def target_is_not_checked() -> Rules:
    """A release begins without a way back."""
    return Rules(see=lambda seen, _: replace(seen, way_back=""))


def rollback_goes_to_what_is_gone() -> Rules:
    """A rollback does not look whether its target can serve."""

    def see(seen: Observation, _: str) -> Observation:
        blind = tuple(replace(one, problem="") for one in seen.targets)
        return replace(seen, targets=blind, ahead="")

    return Rules(see=see)


def marks_are_ignored() -> Rules:
    """A version that was taken back is approved still, so it is released again."""

    def see(seen: Observation, me: str) -> Observation:
        if seen.rollout.owner == me:
            return seen
        fresh = tuple(replace(one, mark="", approval=APPROVED) for one in seen.packages)
        return replace(seen, packages=fresh)

    return Rules(see=see, reread_approval=False)


def restores_to_itself() -> Rules:
    """The way back is remembered after the update, so it is the way forward."""

    def change(action: Action, seen: Observation, _: Operation, __: str) -> Action:
        if isinstance(action, Update) and seen.rollout.phase == RESTORING:
            return replace(action, config=seen.endpoint.config)
        return action

    return Rules(decide=_then(change))


def verifies_before_it_has_settled() -> Rules:
    """The sample is asked while both fleets answer."""

    def see(seen: Observation, me: str) -> Observation:
        record, endpoint = seen.rollout, seen.endpoint
        if record.owner == me and record.phase == UPDATING and endpoint.status in MOVING:
            settled = replace(endpoint, status=IN_SERVICE, config=record.to_config)
            return replace(seen, endpoint=settled)
        return seen

    return Rules(see=see)


def claim_of_the_dead_is_kept() -> Rules:
    """An execution that dies keeps its claim for ever."""
    return Rules(see=lambda seen, _: replace(seen, owner_gone=False))


def everybody_looks_dead() -> Rules:
    """A claim is taken from whoever holds it."""

    def see(seen: Observation, me: str) -> Observation:
        taken = bool(seen.rollout.owner) and seen.rollout.owner != me
        return replace(seen, owner_gone=taken)

    return Rules(see=see, reread_claim=False)


def properties_are_not_retained() -> Rules:
    """An update sets an autoscaled endpoint back to its first instance count."""

    def change(action: Action, *_: Any) -> Action:
        return replace(action, retain=False) if isinstance(action, Update) else action

    return Rules(decide=_then(change))


def stop_is_ignored() -> Rules:
    """A rollout that somebody stops goes on, and goes live."""

    def see(seen: Observation, me: str) -> Observation:
        if seen.rollout.owner != me:
            return seen
        return replace(seen, rollout=replace(seen.rollout, stop=""), stop_rings=False)

    return Rules(see=see)


def stop_alarm_stays_on() -> Rules:
    """Nobody silences the alarm, so the next rollout is taken back at once."""

    def change(action: Action, seen: Observation, operation: Operation, me: str) -> Action:
        if isinstance(action, SetStopAlarm) and not action.ringing:
            return protocol.next_action(replace(seen, stop_rings=False), operation, me)
        return action

    return Rules(decide=_then(change))


def rollback_goes_back_twice() -> Rules:
    """A rollback forgets what it wants to get away from: what serves now, whatever it is, has to go."""

    def change(action: Action, seen: Observation, operation: Operation, me: str) -> Action:
        if isinstance(operation, Rollback) and seen.rollout.owner != me and not isinstance(action, Pin):
            forgetful = replace(operation, away=seen.endpoint.config)
            return protocol.next_action(seen, forgetful, me)
        return action

    return Rules(decide=_then(change))


def failure_is_not_marked() -> Rules:
    """A rollout that failed leaves its version approved and without a mark."""

    def change(action: Action, seen: Observation, operation: Operation, me: str) -> Action:
        if isinstance(action, Mark) and action.reject:
            withdrawn = replace(seen.rollout, outcome="withdrawn", phase=ENDING)
            return protocol.next_action(replace(seen, rollout=withdrawn), operation, me)
        return action

    return Rules(decide=_then(change))


def claim_is_freed_before_the_marks() -> Rules:
    """The record is written first, and the registry by whoever is still alive."""

    def change(action: Action, seen: Observation, operation: Operation, me: str) -> Action:
        if isinstance(action, Mark) and action.release == "live":
            done = tuple(
                replace(one, mark="live" if one.arn == action.package_arn else one.mark)
                for one in seen.packages
            )
            return protocol.next_action(replace(seen, packages=done), operation, me)
        return action

    return Rules(decide=_then(change))


def left_version_keeps_its_mark() -> Rules:
    """A rollback does not say in the registry what was rolled back."""

    def change(action: Action, seen: Observation, operation: Operation, me: str) -> Action:
        if isinstance(action, Mark) and seen.rollout.operation == "rollback" and action.reject:
            hidden = tuple(one for one in seen.packages if one.arn != action.package_arn)
            return protocol.next_action(replace(seen, packages=hidden), operation, me)
        return action

    return Rules(decide=_then(change))


def rollback_needs_the_newest_artifact() -> Rules:
    """A rollback refuses to leave what it could not come back to."""

    def change(action: Action, seen: Observation, operation: Operation, _: str) -> Action:
        if isinstance(operation, Rollback) and isinstance(action, Claim) and seen.way_back:
            return End(ok=False, outcome="failed", reason="the newest artifact is gone")
        return action

    return Rules(decide=_then(change))


def rollback_makes_the_check() -> Rules:
    """A version that served is checked again before it may serve again."""

    def change(action: Action, seen: Observation, *_: Any) -> Action:
        slow = seen.rollout.operation == "rollback" and isinstance(action, Update) and seen.check == Check()
        return RunCheck(attempt=1) if slow else action

    return Rules(decide=_then(change))


def rollback_tries_for_ever() -> Rules:
    """An update that SageMaker takes back is asked for again and again."""

    def see(seen: Observation, _: str) -> Observation:
        return replace(seen, rollout=replace(seen.rollout, tries=0))

    return Rules(see=see)


def stale_decisions_count() -> Rules:
    """A claim is taken on a decision from before somebody else's rollout."""

    return Rules(epochs=False)


def token_is_ignored() -> Rules:
    """Whether an update was asked for is guessed: a silent rollback looks like one that was not."""

    def see(seen: Observation, me: str) -> Observation:
        record, endpoint = seen.rollout, seen.endpoint
        if record.owner == me and endpoint.status == IN_SERVICE and endpoint.config == record.from_config:
            return replace(seen, endpoint=replace(endpoint, token=record.token))
        return seen

    return Rules(see=see)


def rollback_waits_for_the_rollout() -> Rules:
    """A rollback lets the version that it is against go live first."""

    def change(action: Action, *_: Any) -> Action:
        return Wait(why="patient") if isinstance(action, (RequestStop, SetStopAlarm)) else action

    return Rules(decide=_then(change))


MUTANTS: dict[str, tuple[Callable[[], Rules], str]] = {
    one.__name__: (one, words)
    for one, words in (
        (silent_rollback_is_success, "release"),
        (old_configuration_is_deleted, "release"),
        (record_before_the_update, "release"),
        (claim_is_skipped, "two releases"),
        (approval_is_not_read_again, "release"),
        (approval_is_read_only_when_deciding, "release"),
        (target_is_not_checked, "no way back"),
        (rollback_goes_to_what_is_gone, "rollback past what is gone"),
        (marks_are_ignored, "twice"),
        (restores_to_itself, "checks"),
        (verifies_before_it_has_settled, "release"),
        (claim_of_the_dead_is_kept, "release"),
        (everybody_looks_dead, "two releases"),
        (properties_are_not_retained, "release"),
        (stop_is_ignored, "rollback from what comes"),
        (stop_alarm_stays_on, "another rollout after a stopped one"),
        (rollback_goes_back_twice, "rollback from what comes"),
        (failure_is_not_marked, "release"),
        (claim_is_freed_before_the_marks, "release"),
        (left_version_keeps_its_mark, "rollback by hand"),
        (rollback_needs_the_newest_artifact, "rollback without the newest"),
        (rollback_makes_the_check, "rollback by hand"),
        (rollback_tries_for_ever, "rollback by hand"),
        (stale_decisions_count, "two releases"),
        (token_is_ignored, "release"),
    )
}
