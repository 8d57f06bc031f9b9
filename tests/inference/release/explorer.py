"""Everything that can happen to one endpoint, step by step: a tiny SageMaker, and executions of the protocol.

A state is all there is: the endpoint, the ledger's record, the registry, and how far each execution is. From
a state several steps are possible: an execution looks and decides; it carries out what it had decided (with
whatever happened in between); it dies; SageMaker finishes an update or takes it back; a person withdraws an
approval, gives one anew, or an artifact is lost. `explore` follows all of them and checks every state.

Every step that changes anything makes a state that was not there before, or the protocol goes in circles: so
when the graph has no cycle, and every state without a way on is one where all is done, every fair run ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from inference.release import history, protocol
from inference.release.actions import (
    Action,
    AskSample,
    Claim,
    Create,
    End,
    Mark,
    Note,
    Pin,
    RequestStop,
    RunCheck,
    SetStopAlarm,
    Update,
    VerifyPassport,
    Wait,
)
from inference.release.world import (
    ABSENT,
    APPROVED,
    BROKEN,
    IN_SERVICE,
    LIVE,
    MARKS,
    NOT_PASSED,
    PASSED,
    PREVIOUS,
    RETRY,
    ROLLED_BACK,
    SEED,
    UPDATING_STATUS,
    Check,
    Endpoint,
    Observation,
    Operation,
    Rollback,
    Target,
)
from tests.inference.release import invariants
from tests.inference.release.invariants import ViolationError
from tests.inference.release.state import (
    OURS,
    SEED_CONFIG,
    Actor,
    Rules,
    Scenario,
    State,
    approved,
    begin,
    config_of,
    later,
    less,
    package_of,
    registered,
    wake,
    with_actor,
)


@dataclass
class Found:
    """What an exploration found.

    Attributes:
        states: How many there are.
        ends: States where all is done.
        outcomes: How the executions ended.
    """

    states: int = 0
    ends: list[State] = field(default_factory=list)
    outcomes: set[tuple[str, bool, str]] = field(default_factory=set)


class Explorer:
    """Follows every step from the first state on."""

    def __init__(self, scenario: Scenario, rules: Rules = OURS) -> None:
        self._scenario = scenario
        self._rules = rules
        self.found = Found()

    def explore(self, most: int = 400_000) -> Found:
        """All states.

        Raises:
            ViolationError: One is wrong, or the protocol goes in circles or gets stuck; with the steps.
        """
        first = begin(self._scenario)
        ids: dict[State, int] = {first: 0}
        ways: list[list[int]] = []
        states, parents = [first], [(-1, "")]
        queue = deque([0])
        while queue:
            here = queue.popleft()
            ways.append(follow := [])
            try:
                for step, state in self._steps(states[here]):
                    invariants.at_any_moment(state)
                    if state not in ids:
                        ids[state] = len(states)
                        states.append(state)
                        parents.append((here, step))
                        queue.append(ids[state])
                    if ids[state] != here:
                        follow.append(ids[state])
                if not follow:
                    invariants.at_the_end(states[here])
                    self.found.ends.append(states[here])
            except ViolationError as error:
                raise ViolationError(f"{error}\n{_trace(states, parents, here)}") from error
            if len(states) > most:
                raise ViolationError(f"more than {most} states: the world does not come to rest")
        self.found.states = len(states)
        circle = _circle(ways)
        if circle is not None:
            raise ViolationError(f"goes in circles\n{_trace(states, parents, circle)}")
        return self.found

    def _steps(self, state: State) -> Iterator[tuple[str, State]]:
        for actor in state.actors:
            if actor.state == "on":
                yield from self._act(state, actor)
                if state.may("crash"):
                    yield (
                        f"{actor.name} dies",
                        wake(
                            less(with_actor(state, replace(actor, state="dead", decided=None)), "crash"),
                            "recover",
                        ),
                    )
        yield from self._sagemaker(state)
        yield from self._people(state)

    def _act(self, state: State, actor: Actor) -> Iterator[tuple[str, State]]:
        if actor.decided is not None:
            action, seen = actor.decided
            done = with_actor(state, replace(actor, decided=None))
            for how, after in self._carry_out(done, actor, action, seen):
                yield f"{actor.name} does {_name(action)}{how}", after
            return
        seen = self._rules.see(self._look(state, actor), actor.name)
        action = self._rules.decide(seen, actor.operation, actor.name)
        if isinstance(action, Wait):
            return
        if isinstance(action, Pin):
            assert isinstance(actor.operation, Rollback)
            yield (
                f"{actor.name} pins",
                with_actor(state, replace(actor, operation=replace(actor.operation, away=action.away))),
            )
        elif isinstance(action, End):
            self.found.outcomes.add((actor.name, action.ok, action.outcome))
            targets = self._targets(state, actor.operation)
            invariants.of_an_ending(state, actor, action, targets, calm=not self._scenario.events)
            yield f"{actor.name} ends: {action.outcome}", with_actor(state, replace(actor, state="over"))
        else:
            invariants.of_a_decision(state, action)
            yield (
                f"{actor.name} decides {_name(action)}",
                with_actor(state, replace(actor, decided=(action, seen))),
            )

    def _look(self, state: State, actor: Actor) -> Observation:
        record, operation = state.record, actor.operation
        mine = record.owner == actor.name
        coming = record.package_arn if mine else getattr(operation, "package_arn", "")
        owner = next((one for one in state.actors if one.name == record.owner), None)
        return Observation(
            rollout=record,
            endpoint=state.endpoint,
            packages=state.packages,
            to_config=config_of(coming) if coming else record.to_config,
            prepared=True,
            owner_gone=owner is not None and owner.state == "dead",
            way_back="gone" if state.endpoint.config in state.lost else "",
            ahead="gone" if record.to_config in state.lost else "",
            check=state.check,
            check_wanted=self._scenario.checks,
            stop_rings=state.stop_rings,
            targets=() if record.owner else self._targets(state, operation),
        )

    @staticmethod
    def _targets(state: State, operation: Operation) -> tuple[Target, ...]:
        if not isinstance(operation, Rollback):
            return ()
        if operation.to == PREVIOUS:
            configs = [
                one.config for one in history.candidates(state.record, state.endpoint.config, SEED_CONFIG)
            ]
        else:
            configs = [SEED_CONFIG if operation.to == SEED else config_of(operation.to)]
        return tuple(
            Target(config=one, package_arn=package_of(one), problem="gone" if one in state.lost else "")
            for one in configs
        )

    def _carry_out(
        self, state: State, actor: Actor, action: Action, seen: Observation
    ) -> Iterator[tuple[str, State]]:
        record = state.record
        match action:
            case Claim(was=was, changes=changes):
                if record.owner == was and (record.epoch == seen.rollout.epoch or not self._rules.epochs):
                    mine = replace(record, owner=actor.name, epoch=record.epoch + 1, **dict(changes))
                    check, asked = (state.check, state.asked) if was else (Check(), 0)
                    yield "", replace(state, record=mine, check=check, asked=asked)
                else:
                    yield " too late", state
            case Note():
                yield "", self._note(state, actor, action)
            case RequestStop(owner=owner, reason=reason):
                stopped = record.owner == owner and not record.stop
                yield "", replace(state, record=replace(record, stop=reason)) if stopped else state
            case SetStopAlarm(ringing=ringing):
                yield "", replace(state, stop_rings=ringing)
            case VerifyPassport():
                yield "", self._note(state, actor, protocol.passport_verified(record, ""))
                if self._scenario.checks:
                    yield " (bad)", self._note(state, actor, protocol.passport_verified(record, "bad"))
            case Create():
                yield "", state
            case RunCheck(attempt=attempt):
                if record.operation != "release":
                    raise ViolationError("a rollback makes a check")
                begun = replace(state, record=replace(record, checks=attempt))
                for outcome in (ABSENT, BROKEN, PASSED, NOT_PASSED):
                    yield f": {outcome}", replace(begun, check=Check(state=outcome))
            case Update():
                yield "", self._update(state, actor, action)
            case AskSample():
                if state.endpoint.config != record.to_config or state.endpoint.status != IN_SERVICE:
                    raise ViolationError("asks an endpoint that does not serve the new version yet")
                yield "", self._note(state, actor, protocol.sample_asked(seen, ""))
                if self._scenario.checks or self._scenario.losable:
                    yield " (bad)", self._note(state, actor, protocol.sample_asked(seen, "bad"))
            case Mark():
                yield "", self._mark(state, action)
            case _:
                raise AssertionError(action)

    def _note(self, state: State, actor: Actor, action: Note) -> State:
        record = state.record
        if record.owner != actor.name:
            return state
        after = replace(state, record=replace(record, **dict(action.changes)))
        if self._rules.deletes and not after.record.owner:
            after = replace(after, configs=state.configs - {record.from_config})
        return after

    def _update(self, state: State, actor: Actor, action: Update) -> State:
        """What `act` does right before and in UpdateEndpoint."""
        record = state.record
        if self._rules.reread_claim and record.owner != actor.name:
            return state
        if self._rules.reread_approval and action.package_arn and not approved(state, action.package_arn):
            return state
        if state.endpoint.status != IN_SERVICE:
            return state  # in progress
        if record.owner != actor.name:
            raise ViolationError("updates the endpoint without the claim")
        target = package_of(action.config)
        if action.config == state.endpoint.config:
            raise ViolationError("goes to what serves already")
        if action.gradual or record.operation == "rollback":
            if target and not approved(state, target):
                raise ViolationError(f"gives traffic to {target}, which is not approved")
            if target and state.package(target).mark in (ROLLED_BACK, "failed", "refused"):
                raise ViolationError(f"gives traffic to {target}, which is {state.package(target).mark}")
        if action.gradual and action.config in state.taken_back:
            raise ViolationError(f"tries {action.config} again, which was taken back")
        if action.gradual and state.endpoint.config in self._scenario.lost:
            raise ViolationError("updates without a way back")
        # A release goes forward once and back a few times; a rollback has as many tries.
        if state.asked >= protocol.MAX_TRIES + (record.operation == "release"):
            raise ViolationError("asks for an update again and again")
        return replace(
            state,
            endpoint=replace(state.endpoint, status=UPDATING_STATUS, token=later(state.endpoint)),
            pending=(action.config, action.gradual),
            asked=state.asked + 1,
            scaled=state.scaled and action.retain,
        )

    def _mark(self, state: State, action: Mark) -> State:
        package = state.package(action.package_arn)
        serves = state.endpoint.status == IN_SERVICE and state.endpoint.config == config_of(package.arn)
        if action.release == LIVE and not serves:
            raise ViolationError(f"marks {package.arn} as live, and {state.endpoint.config} serves")
        approval = "Rejected" if action.reject else package.approval
        return registered(state, replace(package, mark=action.release, approval=approval))

    def _sagemaker(self, state: State) -> Iterator[tuple[str, State]]:
        if state.pending is None:
            return
        config, watched = state.pending
        idle = replace(state, pending=None)
        there = config not in state.lost
        if there:
            yield (
                "SageMaker finishes",
                replace(idle, endpoint=Endpoint(config=config, token=later(state.endpoint))),
            )
        rings = watched and state.stop_rings
        if not there or rings or state.may("back"):
            back = replace(idle, endpoint=Endpoint(config=state.endpoint.config, token=later(state.endpoint)))
            if watched:
                back = replace(back, taken_back=state.taken_back | {config})
            yield "SageMaker takes it back", back if not there or rings else less(back, "back")

    def _people(self, state: State) -> Iterator[tuple[str, State]]:
        if state.may("withdraw"):
            for one in state.packages:
                if one.approval == APPROVED and one.mark not in MARKS:
                    yield (
                        f"a person rejects {one.arn}",
                        less(registered(state, replace(one, approval="Rejected")), "withdraw"),
                    )
        if state.may("approve"):
            for one in state.packages:
                if one.approval != APPROVED:
                    given = registered(state, replace(one, approval=APPROVED, mark=RETRY))
                    fresh = replace(given, taken_back=state.taken_back - {config_of(one.arn)})
                    yield f"a person approves {one.arn}", wake(less(fresh, "approve"), f"again-{one.arn}")
        if state.may("lose"):
            for config in self._scenario.losable:
                if config not in state.lost:
                    yield (
                        f"the artifact of {config} is lost",
                        less(replace(state, lost=state.lost | {config}), "lose"),
                    )


def _name(action: Action) -> str:
    """An action in a trace."""
    if isinstance(action, Note):
        return f"Note({', '.join(f'{k}={v!r}' for k, v in action.changes if v not in ('', (), 0, False))})"[
            :160
        ]
    return str(action)[:160] if not isinstance(action, Claim) else f"Claim(was={action.was!r})"


def _trace(states: list[State], parents: list[tuple[int, str]], here: int) -> str:
    steps = []
    while here > 0:
        here, step = parents[here]
        steps.append(step)
    return "\n".join(f"  {step}" for step in reversed(steps))


def _circle(ways: list[list[int]]) -> int | None:
    """A state on a circle; None when there is none: dead ends are taken away until none is left."""
    incoming: list[list[int]] = [[] for _ in ways]
    for here, follow in enumerate(ways):
        for there in follow:
            incoming[there].append(here)
    left = [len(follow) for follow in ways]
    ready = [here for here, count in enumerate(left) if count == 0]
    gone = 0
    while ready:
        gone += 1
        for before in incoming[ready.pop()]:
            left[before] -= 1
            if left[before] == 0:
                ready.append(before)
    return None if gone == len(ways) else next(here for here, count in enumerate(left) if count)


def explore(scenario: Scenario, rules: Rules = OURS) -> Found:
    """All that can happen in a scenario; see `Explorer.explore`."""
    return Explorer(scenario, rules).explore()
