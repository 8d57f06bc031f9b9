"""The world of the exploration: one endpoint, its registry and record, and who acts on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from inference.release import protocol
from inference.release.actions import Action
from inference.release.world import (
    APPROVED,
    LIVE,
    SEED,
    Check,
    Endpoint,
    Observation,
    Operation,
    Package,
)
from training.ledger.rollouts import RolloutRecord, Served

SEED_CONFIG = "c0"
Decide = Callable[[Observation, Operation, str], Action]


@dataclass(frozen=True)
class Actor:
    """One execution.

    Attributes:
        name: Who it is; its ARN, so to speak.
        operation: What it is for.
        state: asleep (its event has not come), on, dead, over.
        decided: What it is about to do, and what it saw when it decided that.
    """

    name: str
    operation: Operation
    state: str = "on"
    decided: tuple[Action, Observation] | None = None


@dataclass(frozen=True)
class State:
    """All there is.

    Attributes:
        endpoint: As SageMaker describes it; its token counts the changes.
        pending: Configuration of the update under way, and whether it is watched by alarms.
        record: The ledger's record.
        packages: The registry.
        actors: Executions.
        lost: Configurations whose artifact is gone.
        stop_rings: Whether the stop alarm rings.
        scaled: Whether what autoscaling has set is still there.
        configs: Configurations that exist.
        taken_back: Configurations that SageMaker took back since their approval.
        check: How the check under way stands.
        asked: Updates that were asked for under the claim.
        left: How often each kind of event may still come.
    """

    endpoint: Endpoint
    record: RolloutRecord
    packages: tuple[Package, ...]
    actors: tuple[Actor, ...]
    pending: tuple[str, bool] | None = None
    lost: frozenset[str] = frozenset()
    stop_rings: bool = False
    scaled: bool = True
    configs: frozenset[str] = frozenset()
    taken_back: frozenset[str] = frozenset()
    check: Check = field(default_factory=Check)
    asked: int = 0
    left: tuple[tuple[str, int], ...] = ()

    def package(self, arn: str) -> Package:
        return next(one for one in self.packages if one.arn == arn)

    def may(self, event: str) -> int:
        return dict(self.left).get(event, 0)


@dataclass(frozen=True)
class Rules:
    """What a mutant can change.

    Attributes:
        decide: The protocol.
        see: What the executions believe they see.
        reread_claim: Whether the claim is read again right before an update.
        reread_approval: Whether the approval is.
        epochs: Whether a claim is refused to whoever decided before the last one.
        deletes: Whether whoever frees the claim deletes what it replaced.
    """

    decide: Decide = protocol.next_action
    see: Callable[[Observation, str], Observation] = lambda seen, _: seen
    reread_claim: bool = True
    reread_approval: bool = True
    epochs: bool = True
    deletes: bool = False


OURS = Rules()


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Who acts, and what may happen.

    Attributes:
        operations: Of the executions, by name. A name with a star is asleep until its event comes.
        events: How often each may happen: back (SageMaker takes an update back by itself), crash, withdraw,
            approve, lose.
        serving: What serves at the beginning: ``seed`` or the ARN of a package.
        before: Versions that served before, newest first; the seed was the first.
        packages: The registry at the beginning.
        checks: Whether there is a check, with all its outcomes, and bad passports and samples too.
        losable: Configurations whose artifact may be lost.
    """

    operations: tuple[tuple[str, Operation], ...]
    events: tuple[tuple[str, int], ...] = ()
    serving: str = SEED
    before: tuple[str, ...] = ()
    packages: tuple[Package, ...] = (Package(arn="p1", version="1"), Package(arn="p2", version="2"))
    checks: bool = False
    losable: tuple[str, ...] = ()
    lost: frozenset[str] = frozenset()


def config_of(arn: str) -> str:
    """Name of the configuration a version is served from."""
    return f"c{arn.removeprefix('p')}" if arn else SEED_CONFIG


def package_of(config: str) -> str:
    return "" if config == SEED_CONFIG else f"p{config.removeprefix('c')}"


def begin(scenario: Scenario) -> State:
    """The first state of a scenario."""
    arn = "" if scenario.serving == SEED else scenario.serving
    packages = tuple(replace(one, mark=LIVE) if one.arn == arn else one for one in scenario.packages)
    before = (
        tuple(Served(config=config_of(one), package_arn=one) for one in (*scenario.before, "")) if arn else ()
    )
    record = RolloutRecord(
        model="m",
        config=config_of(arn),
        serving_package=arn,
        history=before,
        previous_config=SEED_CONFIG if arn else "",
    )
    return State(
        endpoint=Endpoint(config=config_of(arn), token="0"),
        record=record,
        packages=packages,
        actors=tuple(
            Actor(name.removeprefix("*"), operation, "asleep" if name.startswith("*") else "on")
            for name, operation in scenario.operations
        ),
        configs=frozenset({SEED_CONFIG, *(config_of(one.arn) for one in packages)}),
        lost=scenario.lost,
        left=scenario.events,
    )


def by_state(state: State) -> Iterator[tuple[str, list[Actor]]]:
    for name in ("asleep", "on", "dead", "over"):
        yield name, [one for one in state.actors if one.state == name]


def approved(state: State, arn: str) -> bool:
    return not arn or state.package(arn).approval == APPROVED


def later(endpoint: Endpoint) -> str:
    return str(int(endpoint.token) + 1)


def with_actor(state: State, actor: Actor) -> State:
    return replace(state, actors=tuple(actor if one.name == actor.name else one for one in state.actors))


def registered(state: State, package: Package) -> State:
    return replace(
        state, packages=tuple(package if one.arn == package.arn else one for one in state.packages)
    )


def less(state: State, event: str) -> State:
    return replace(state, left=tuple((name, count - (name == event)) for name, count in state.left))


def wake(state: State, name: str) -> State:
    """The execution that an event starts."""
    found = next((one for one in state.actors if one.name == name and one.state == "asleep"), None)
    return with_actor(state, replace(found, state="on")) if found else state
