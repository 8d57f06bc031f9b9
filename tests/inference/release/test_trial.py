"""All that can happen to an experiment, with executions that die after any step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from inference.release import protocol, trial
from inference.release.actions import (
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
from inference.release.trial import Record, Seen, SetShare, Start, Stop, Weights
from inference.release.world import (
    EXPERIMENT,
    IN_SERVICE,
    LIVE,
    PASSED,
    RETRY,
    UPDATING_STATUS,
    Check,
    Endpoint,
    Observation,
    Package,
    Rollback,
    Target,
)
from training.ledger import experiments as ledger
from training.ledger.experiments import ExperimentRecord
from training.ledger.rollouts import RolloutRecord, Served

ID, BEFORE, ALONE, BOTH = "x1", "before", "alone", "both"
OLD, NEW = "arn:old", "arn:new"
PLAIN = RolloutRecord(
    model="m",
    config=ALONE,
    serving_package=OLD,
    serving_version="1.0.0",
    serving_since=1.0,
    previous_config=BEFORE,
    history=(Served(config=BEFORE, version="seed", since=0.5),),
)
OPERATIONS = {
    "start": Start(id=ID, package_arn=NEW, weight=0.1),
    "weights": Weights(id=ID, weight=0.5),
    "stop": Stop(id=ID),
    "promote": Stop(id=ID, promote=True),
    "rollback": Rollback(to="previous"),
}


@dataclass(frozen=True)
class World:
    """Everything there is; `running` are executions that go on, `dead` those that never will."""

    record: RolloutRecord = PLAIN
    state: str = ledger.STARTING
    facts: tuple[tuple[str, object], ...] = ()
    open_weight: float | None = None
    spans: int = 0
    config: str = ALONE
    coming: str = ""
    token: int = 0
    share: float | None = None
    mark: str = ""
    old_mark: str = LIVE
    approved: bool = True
    prepared: bool = False
    running: tuple[str, ...] = ()
    pinned: tuple[tuple[str, object], ...] = ()
    dead: tuple[str, ...] = ()
    ended: tuple[tuple[str, bool], ...] = ()
    failures: int = 1

    def experiment(self) -> ExperimentRecord:
        weights = [{"weight": 9.0, "since": 0.0, "until": 0.0}] * (
            self.spans - (self.open_weight is not None)
        )
        if self.open_weight is not None:
            weights.append({"weight": self.open_weight, "since": 0.0})
        facts = {"treatment_package": NEW, "wanted_weight": 0.1, **dict(self.facts)}
        return ExperimentRecord(model="m", id=ID, state=self.state, weights=weights, **facts)  # type: ignore[arg-type]


def observation(world: World, me: str) -> Observation:
    record = world.record
    return Observation(
        rollout=record,
        endpoint=Endpoint(
            status=UPDATING_STATUS if world.coming else IN_SERVICE,
            config=world.config,
            token=str(world.token),
        ),
        packages=(
            Package(arn=OLD, version="1.0.0", mark=world.old_mark),
            Package(
                arn=NEW,
                version="1.1.0",
                mark=world.mark,
                approval="Approved" if world.approved else "Rejected",
            ),
        ),
        to_config=BOTH if me != "rollback" else record.to_config,
        prepared=world.prepared,
        owner_gone=record.owner in world.dead,
        check=Check(state=PASSED) if record.checks else Check(),
        targets=tuple(
            Target(config=one.config, package_arn=one.package_arn, version=one.version)
            for one in record.history
            if one.sound and one.config != world.config
        ),
        now=2.0,
    )


def decide(world: World, me: str) -> object:
    """What an execution does next, as the handler asks."""
    seen = observation(world, me)
    shares = () if world.share is None else (("Challenger", world.share),)
    trial_seen = Seen(world=seen, experiment=world.experiment(), shares=shares)
    if me != "rollback":
        return trial.next_action(trial_seen, OPERATIONS[me], me)
    operation = dict(world.pinned).get(me, OPERATIONS[me])
    action = protocol.next_action(seen, operation, me)
    of_experiment = seen.rollout.operation.startswith(trial.PREFIX)
    if not isinstance(action, Pin) and of_experiment and (seen.owner_gone or seen.rollout.owner == me):
        return trial.take_over(seen.rollout) if seen.rollout.owner != me else trial.drive(trial_seen)
    return action


def act(world: World, me: str, action: object) -> World:
    """The world after an action."""
    record = world.record
    match action:
        case Wait() | RequestStop():
            return world
        case End(ok=ok):
            left = tuple(one for one in world.running if one != me)
            return replace(world, running=left, ended=tuple(sorted({*world.ended, (me, ok)})))
        case Pin(away=away):
            return replace(world, pinned=((me, replace(OPERATIONS[me], away=away)),))
        case Claim(was=was, changes=changes):
            assert was == record.owner
            return replace(world, record=replace(record, owner=me, **dict(changes)))
        case Note(changes=changes):
            return replace(world, record=replace(record, **dict(changes)))
        case VerifyPassport():
            return replace(
                world, record=replace(record, **dict(protocol.passport_verified(record, "").changes))
            )
        case Create():
            return replace(world, prepared=True)
        case RunCheck(attempt=attempt):
            return replace(world, record=replace(record, checks=attempt))
        case SetStopAlarm():
            return world
        case Update(config=config, package_arn=arn):
            assert record.owner == me, "an update without the claim"
            assert not world.coming, "two updates at a time"
            assert arn != NEW or world.approved, "an update to a version that is not approved"
            return replace(world, coming=config, token=world.token + 1)
        case SetShare(share=share):
            assert record.owner == me
            assert world.config == BOTH
            assert world.open_weight is None, "outcomes would count by a share that is not in force"
            return replace(world, share=share, token=world.token + 1)
        case Mark(package_arn=arn, release=release, reject=reject):
            if arn != NEW:
                return replace(world, old_mark=release)
            return replace(world, mark=release, approved=world.approved and not reject)
        case Record():
            return written(world, action)
    raise AssertionError(f"{action} is not for an experiment")


def written(world: World, action: Record) -> World:
    """The experiment's record, as the ledger changes it."""
    if world.state not in ledger.UNDER_WAY:
        return world
    changes = dict(action.changes)
    state = changes.pop("state", world.state)
    if action.leaving:
        world = replace(world, open_weight=None)
    if action.share is not None and world.open_weight != action.share:
        assert world.share == action.share, "a share is written down that is not in force"
        world = replace(world, open_weight=action.share, spans=min(world.spans + 1, 4))
    facts = tuple(sorted({**dict(world.facts), **changes}.items()))
    if action.end:
        return replace(world, facts=facts, state=action.end, open_weight=None)
    return replace(world, facts=facts, state=state)


def around(world: World) -> Iterator[World]:
    """What others do: SageMaker ends an update, well or silently not; executions die."""
    if world.coming:
        share = 0.3 if world.coming == BOTH else None
        token = world.token + 1
        yield replace(world, config=world.coming, coming="", share=share, token=token)
        if world.failures:
            yield replace(world, coming="", token=token, failures=world.failures - 1)
    for me in world.running:
        if not world.dead:
            left = tuple(one for one in world.running if one != me)
            yield replace(world, running=left, dead=(me,))


def steps(world: World) -> Iterator[World]:
    for me in world.running:
        yield act(world, me, decide(world, me))


def explore(first: World) -> set[World]:
    """Every world that can come about."""
    known, left = {first}, deque([first])
    while left:
        world = left.popleft()
        for following in (*steps(world), *around(world)):
            if following not in known:
                check(following)
                known.add(following)
                left.append(following)
    return known


def check(world: World) -> None:
    """What always holds."""
    assert world.config in (BEFORE, ALONE, BOTH)
    if world.open_weight is not None and world.config == BOTH and not world.coming:
        assert world.share == world.open_weight, "outcomes count by a share that is not in force"
    if not world.record.owner and not world.coming:
        assert world.record.config == world.config, "the record says something else than what serves"
        if world.config == BOTH:
            assert world.record.experiment == ID
            facts = dict(world.facts)
            assert world.record.serving_package == facts["control_package"] != NEW, "what is tried serves"
            sound = [one.config for one in world.record.history if one.sound]
            assert sound[0] == facts["control_config"], "an experiment's way back is the control alone"
        else:
            assert not world.record.experiment, "a release would be refused for an experiment that is over"


def quiet(world: World) -> bool:
    """Whether nothing more happens by itself."""
    return not world.coming and all(step == world for step in steps(world))


STARTED = "started"


def begun() -> World:
    """An experiment that runs."""
    world = World(running=("start",), failures=0)
    for _ in range(60):
        if world.coming:
            world = next(around(world))
        elif world.running:
            world = act(world, "start", decide(world, "start"))
    assert (world.state, world.config, world.ended) == (ledger.RUNNING, BOTH, (("start", True),))
    return replace(world, running=(), ended=(), failures=1)


def test_an_experiment_starts_with_the_share_that_was_asked_for():
    world = begun()
    assert (world.share, world.open_weight, world.spans, world.mark) == (0.1, 0.1, 1, EXPERIMENT)
    assert world.record.previous_config == ALONE
    assert not world.record.owner


def test_another_share_is_left_before_it_is_changed_and_noted_after():
    world = replace(begun(), running=("weights",))
    found = [w for w in explore(replace(world, failures=0)) if quiet(w) and not w.dead]
    assert found
    assert {(w.share, w.open_weight, w.spans) for w in found} == {(0.5, 0.5, 2)}


def test_an_experiment_that_is_stopped_leaves_everything_as_it_was():
    world = replace(begun(), running=("stop",), failures=0)
    found = [w for w in explore(world) if quiet(w) and not w.dead]
    assert found
    for end in found:
        assert (end.config, end.state, end.mark) == (ALONE, ledger.STOPPED, EXPERIMENT)
        assert (end.record.previous_config, end.record.serving_package) == (BEFORE, OLD)
        assert [one.config for one in end.record.history] == [BEFORE]


def test_a_promoted_version_is_one_that_an_ordinary_release_takes():
    world = replace(begun(), running=("promote",), failures=0)
    found = [w for w in explore(world) if quiet(w) and not w.dead]
    assert {(w.config, w.state, w.mark, w.approved) for w in found} == {(ALONE, ledger.PROMOTED, RETRY, True)}


@pytest.mark.parametrize(
    "actors", [("start",), ("start", "stop"), ("start", "rollback"), ("start", "rollback", "stop")]
)
def test_a_start_ends_well_or_leaves_nothing_whoever_dies_and_whoever_comes_between(actors):
    worlds = explore(World(running=actors))
    assert len(worlds) > 30
    for end in worlds:
        if not quiet(end) or end.running or end.record.owner in end.dead:
            continue
        if end.config == BOTH:
            # A stop that died before its claim has said what it wanted; the next one does it.
            assert end.state == ledger.RUNNING or (end.state == ledger.STOPPING and "stop" in end.dead)
            assert end.mark == EXPERIMENT
        else:
            assert end.record.experiment == ""


@pytest.mark.parametrize(
    "actors",
    [
        ("stop",),
        ("promote",),
        ("weights",),
        ("stop", "rollback"),
        ("weights", "rollback"),
        ("weights", "stop"),
    ],
)
def test_a_change_of_a_running_experiment_ends_whoever_dies_and_whoever_comes_between(actors):
    worlds = explore(replace(begun(), running=actors))
    assert len(worlds) > 8
    for end in worlds:
        if quiet(end) and not end.running and not end.record.owner:
            assert (end.config == BOTH) == (end.record.experiment == ID)


@pytest.mark.parametrize("first", ["start", "weights", "stop", "rollback"])
def test_a_stop_or_a_rollback_always_comes_to_an_end(first):
    start = World(running=(first, "stop")) if first == "start" else replace(begun(), running=(first, "stop"))
    worlds = explore(start)
    stuck = [w for w in worlds if quiet(w) and "stop" in w.running and not rollback_left_behind(w)]
    assert stuck == []
    worlds = explore(replace(start, running=(first, "rollback")) if first != "rollback" else start)
    assert [w for w in worlds if quiet(w) and "rollback" in w.running] == []


def rollback_left_behind(world: World) -> bool:
    """A rollback that died is not an experiment's to end; a recovery or the next rollback ends it."""
    return world.record.owner == "rollback" and "rollback" in world.dead


def test_nothing_is_tried_whose_approval_is_gone():
    world = World(running=("start",), approved=False)
    found = explore(world)
    assert {w.config for w in found} == {ALONE}
    assert all(w.state in (ledger.STARTING, ledger.FAILED) for w in found)
    assert any(("start", False) in w.ended for w in found)


def test_a_second_experiment_is_refused_while_one_runs():
    world = replace(begun(), state=ledger.STARTING, running=("start",))
    assert {w.config for w in explore(world)} == {BOTH}


def test_shares_are_those_among_all_weights():
    assert dict(trial.shares_of({"AllTraffic": 3.0, "Challenger": 1.0})) == {
        "AllTraffic": 0.75,
        "Challenger": 0.25,
    }
    assert dict(trial.shares_of({"AllTraffic": 0.0})) == {"AllTraffic": 0.0}


def test_asking_the_sample_is_no_part_of_an_experiment():
    with pytest.raises(AssertionError, match="not for an experiment"):
        act(World(), "start", AskSample())
