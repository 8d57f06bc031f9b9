"""Any program, any failing operation: the checkpoint stays true and the next run gets there.

In the style of Pulumi's own fuzz tests of its snapshot manager.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pulumi import ResourceOptions

from sandbox.deployer.state import Checkpoint, Resource
from tests.sandbox.deployer.cloud import Cloud, Group, Thing, stack

EXAMPLES = int(os.environ.get("UPKEEP_FUZZ_EXAMPLES", "40"))
NAMES = ("a", "b", "c", "d", "e")


@dataclass(frozen=True)
class Wish:
    """One resource of a generated program; `link` and `after` name earlier ones."""

    name: str
    fixed: bool
    size: int
    note: int
    link: str | None
    after: str | None
    grouped: bool


@st.composite
def programs(draw: st.DrawFn) -> tuple[Wish, ...]:
    wishes: list[Wish] = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5)):
        earlier = [wish.name for wish in wishes]
        reference = st.sampled_from([None, *earlier])
        wishes.append(
            Wish(
                name,
                draw(st.booleans()),
                draw(st.integers(0, 1)),
                draw(st.integers(0, 1)),
                draw(reference),
                draw(reference),
                draw(st.booleans()),
            )
        )
    return tuple(wishes)


faults = st.dictionaries(
    st.builds(
        lambda op, name: f"{op} {name}",
        st.sampled_from(["create", "update", "delete"]),
        st.sampled_from(NAMES),
    ),
    st.sampled_from(["clean", "partial", "crash"]),
    max_size=3,
)


def run(wishes: tuple[Wish, ...]) -> None:
    made: dict[str, Thing] = {}
    group = Group("group") if any(wish.grouped for wish in wishes) else None
    for wish in wishes:
        options = ResourceOptions(depends_on=[made[wish.after]] if wish.after else [])
        options.parent = group if wish.grouped else None
        properties = {"size": wish.size, "note": str(wish.note)}
        if wish.fixed:
            # Another parent is another resource to Pulumi, so it must not claim the same name.
            properties["fixed"] = f"name-{wish.name}-{wish.grouped}"
        if wish.link:
            properties["link"] = made[wish.link].id
        made[wish.name] = Thing(wish.name, opts=options, **properties)


def live(path: Path) -> list[Resource]:
    items = Checkpoint.load(path).resources()
    return [item for item in items if item.type == "fake:index:Thing" and not item.pending_replacement]


def assert_nothing_is_lost(path: Path, cloud: Cloud) -> None:
    """Every thing in the cloud is in the checkpoint, or was being created when the run was cut off."""
    checkpoint = Checkpoint.load(path)  # refuses duplicates and references that do not precede
    known = {item.id for item in checkpoint.resources() if not item.pending_replacement}
    unsure = {operation.resource.inputs["id_name"] for operation in checkpoint.interrupted}
    lost = [id_ for id_, thing in cloud.things.items() if id_ not in known and thing["id_name"] not in unsure]
    assert lost == []


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(programs(), faults), min_size=1, max_size=3), programs())
def test_whatever_fails_the_next_run_converges_and_nothing_is_orphaned(
    history: list[tuple[tuple[Wish, ...], dict[str, str]]], last: tuple[Wish, ...]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, cloud = Path(folder) / "dev.json", Cloud()
        for wishes, broken in history:
            cloud.faults = broken
            stack(path, cloud, lambda w=wishes: run(w)).up()
            assert_nothing_is_lost(path, cloud)
        cloud.faults = {}
        final = stack(path, cloud, lambda: run(last)).up()
        assert final.failures == []
        assert sorted(item.id for item in live(path)) == sorted(cloud.things)
        assert sorted(item.name for item in live(path)) == sorted(wish.name for wish in last)
        cloud.log.clear()
        again = stack(path, cloud, lambda: run(last)).up()
        assert (again.changes, cloud.log) == ([], [])
        assert stack(path, cloud, lambda: None).destroy().ok
        assert cloud.things == {}


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs(), st.sets(st.sampled_from(NAMES)))
def test_whatever_is_deleted_behind_its_back_comes_back_after_a_refresh(
    wishes: tuple[Wish, ...], victims: set[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, cloud = Path(folder) / "dev.json", Cloud()
        assert stack(path, cloud, lambda: run(wishes)).up().ok
        for item in live(path):
            if item.name in victims:
                del cloud.things[item.id]
        stack(path, cloud, lambda: run(wishes)).refresh()
        Checkpoint.load(path)
        repaired = stack(path, cloud, lambda: run(wishes)).up()
        assert repaired.failures == []
        assert sorted(item.id for item in live(path)) == sorted(cloud.things)
        assert len(cloud.things) == len(wishes)


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs(), programs())
def test_a_preview_announces_what_the_update_then_does(
    first: tuple[Wish, ...], second: tuple[Wish, ...]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, cloud = Path(folder) / "dev.json", Cloud()
        stack(path, cloud, lambda: run(first)).up()
        before = path.read_text()
        planned = stack(path, cloud, lambda: run(second)).preview()
        assert path.read_text() == before
        done = stack(path, cloud, lambda: run(second)).up()
        assert planned.ok
        assert done.ok
        touched = {step.urn for step in done.changes}
        # An unknown value may turn out as it was; nothing may happen that was not announced.
        assert touched <= {step.urn for step in planned.changes}
