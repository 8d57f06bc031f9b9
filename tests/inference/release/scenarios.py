"""Who may meet at an endpoint, and what may come between."""

from __future__ import annotations

from inference.release.world import SEED, Package, Recover, Release, Rollback
from tests.inference.release.state import Scenario

R1, R2, BACK = Release(package_arn="p1"), Release(package_arn="p2"), Rollback()
RECOVER = ("*recover", Recover())

SCENARIOS: dict[str, Scenario] = {
    # One release: its approval comes and goes, it dies anywhere, SageMaker takes it back.
    "release": Scenario(
        operations=(("r1", R1), ("*again-p1", R1), RECOVER),
        events=(("back", 1), ("crash", 1), ("withdraw", 1), ("approve", 1)),
    ),
    # With everything that can go wrong before the endpoint is touched.
    "checks": Scenario(operations=(("r1", R1), RECOVER), events=(("crash", 1), ("withdraw", 1)), checks=True),
    # The same event twice.
    "twice": Scenario(operations=(("r1", R1), ("r1b", R1)), events=(("back", 1), ("withdraw", 1))),
    "two releases": Scenario(
        operations=(("r1", R1), ("r2", R2), RECOVER), events=(("back", 1), ("crash", 1))
    ),
    "two releases and a withdrawal": Scenario(
        operations=(("r1", R1), ("r2", R2)), events=(("back", 1), ("withdraw", 1)), serving=SEED
    ),
    # A person goes back while a version comes; what serves is p1, and before it was the seed.
    "rollback in a rollout": Scenario(
        operations=(("r2", R2), ("b", BACK), RECOVER), events=(("back", 1), ("crash", 1)), serving="p1"
    ),
    "rollback from what comes": Scenario(
        operations=(("r2", R2), ("b", Rollback(away="c2"))), events=(("back", 1),), serving="p1"
    ),
    "rollback by hand": Scenario(
        operations=(("b", BACK), RECOVER), events=(("back", 3), ("crash", 1)), serving="p1"
    ),
    "rollback to the seed": Scenario(
        operations=(("b", Rollback(to=SEED)), ("r2", R2)), events=(("back", 1),), serving="p1"
    ),
    "two rollbacks": Scenario(
        operations=(("b", Rollback(away="c1")), ("b2", Rollback(away="c1"))),
        events=(("back", 1),),
        serving="p1",
    ),
    # The newest artifact is gone: that is no reason to stay with it.
    "rollback without the newest": Scenario(operations=(("b", BACK),), serving="p1", lost=frozenset({"c1"})),
    "rollback past what is gone": Scenario(
        operations=(("b", BACK),),
        serving="p2",
        before=("p1",),
        packages=(Package(arn="p1", mark="superseded"), Package(arn="p2")),
        lost=frozenset({"c1"}),
    ),
    "another rollout after a stopped one": Scenario(
        operations=(("r2", R2), ("b", Rollback(away="c2")), ("r1", R1)),
    ),
    "rollback to a version": Scenario(
        operations=(("b", Rollback(to="p2")),),
        serving="p1",
        packages=(Package(arn="p1", version="1"), Package(arn="p2", version="2", mark="superseded")),
    ),
    "rollback to what is rejected": Scenario(
        operations=(("b", Rollback(to="p2")),),
        serving="p1",
        packages=(Package(arn="p1"), Package(arn="p2", approval="Rejected", mark="rolled_back")),
    ),
    "no way back": Scenario(operations=(("r2", R2),), serving="p1", lost=frozenset({"c1"})),
    "artifacts get lost": Scenario(
        operations=(("r2", R2), ("b", BACK)), events=(("lose", 1),), serving="p1", losable=("c1", "c2")
    ),
    "a rolled-back version": Scenario(
        operations=(("r1", R1), ("b", Rollback(away="c1")), ("r1b", R1)), events=(("back", 1),)
    ),
}
