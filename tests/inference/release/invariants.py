"""What must hold: at any moment, when an execution decides or ends, and when nothing goes on any more."""

from __future__ import annotations

from collections.abc import Sequence

from inference.release.actions import Action, End, Mark, Update
from inference.release.world import (
    APPROVED,
    LIVE,
    MARKS,
    PREVIOUS,
    RETRY,
    ROLLED_BACK,
    Release,
    Rollback,
    Target,
)
from tests.inference.release.state import Actor, State, approved, by_state, config_of, package_of


class ViolationError(AssertionError):
    """Something happened that must not."""


def at_any_moment(state: State) -> None:
    """What holds at any moment."""
    record, endpoint = state.record, state.endpoint
    if endpoint.config not in state.configs:
        raise ViolationError(f"{endpoint.config} serves and was deleted")
    if not state.scaled:
        raise ViolationError("the instance count that scaling had set is lost")
    if not record.owner and state.pending is None and record.config != endpoint.config:
        raise ViolationError(f"the record says {record.config} serves, {endpoint.config} does")
    if not record.owner and state.pending is not None:
        raise ViolationError("the claim is free while an update is under way")
    if not record.owner and record.serving_package != package_of(record.config):
        raise ViolationError(f"the record has {record.serving_package} for {record.config}")


def at_the_end(state: State) -> None:
    """What holds when nothing goes on."""
    stuck = [one.name for one in state.actors if one.state == "on"]
    if stuck or state.pending is not None:
        raise ViolationError(f"stuck: {', '.join(stuck)}")
    if state.record.owner:
        raise ViolationError("the claim was never freed")
    serving = package_of(state.endpoint.config)
    # Whose execution died before it had a claim is left to people: they are told of the execution.
    of = {
        state: {getattr(one.operation, "package_arn", "") for one in actors}
        for state, actors in by_state(state)
    }
    wanted = of.get("over", set()) - of.get("dead", set())
    for one in state.packages:
        if one.arn in wanted and one.approval == APPROVED and one.mark not in MARKS:
            raise ViolationError(f"{one.arn} is approved, and nobody has said what became of it")
        if one.mark == LIVE and one.arn != serving:
            raise ViolationError(f"{one.arn} is marked live and does not serve")
    # A person may approve anew what serves; then it has that mark until the event of it was looked at.
    if serving and state.package(serving).mark not in (LIVE, RETRY) and not state.lost:
        raise ViolationError(f"{serving} serves and is marked {state.package(serving).mark!r}")


def of_a_decision(state: State, action: Action) -> None:
    """What nobody may decide while the world is as it is."""
    if isinstance(action, Update) and action.gradual and state.stop_rings:
        raise ViolationError("begins a rollout while the alarm rings that takes it back")
    goes_live = isinstance(action, Mark) and action.release == LIVE and action.package_arn
    record = state.record
    moved = record.operation == "release" and record.from_config != record.to_config
    if goes_live and moved and record.stop:
        raise ViolationError("goes live although somebody has stopped it")


def of_an_ending(state: State, actor: Actor, end: End, targets: Sequence[Target], calm: bool) -> None:
    """What an execution may say at its end."""
    operation, serving = actor.operation, state.endpoint.config
    if isinstance(operation, Rollback):
        if end.ok and operation.to == PREVIOUS and state.pending is None and serving == operation.away:
            raise ViolationError(f"the rollback ends well, and {operation.away} serves on")
        usable = [one for one in targets if not one.problem and approved(state, one.package_arn)]
        if not end.ok and usable and calm:
            raise ViolationError("the rollback gives up, and there is something to go back to")
        left = package_of(operation.away) if operation.away else ""
        if end.outcome == LIVE and left and state.package(left).mark != ROLLED_BACK:
            raise ViolationError(f"{left} was rolled back and is marked {state.package(left).mark!r}")
    mine = not state.record.owner and state.record.last_owner == actor.name
    said = isinstance(operation, Release) and end.outcome == LIVE and mine
    if said and serving != config_of(operation.package_arn):
        raise ViolationError(f"{operation.package_arn} is said to be live, and {serving} serves")
