"""Stories: who pushes what when, and what goes wrong meanwhile. Plain data, so hypothesis can shrink them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.faults import contents
from tests.faults.account import ACCOUNT
from tests.faults.checker import Expectation, violations
from tests.faults.contents import MODEL, OTHER, POISON, Content
from tests.faults.nemesis import (
    HANG,
    KILL_AFTER,
    KILL_BEFORE,
    KINDS,
    LOSE,
    OUTAGE,
    THROTTLE,
    Nemesis,
    Stretch,
    Strike,
)
from tests.faults.world import DATA, HOUR, World

PUSH, AGAIN, OVERWRITE, WITHDRAW, DESTROY, TELL = "push", "again", "overwrite", "withdraw", "destroy", "tell"
Rates = tuple[tuple[str, float], ...]
FORCE, FORGE, PARTS, GHOST, MARKER, BURST = "force", "forge", "parts", "ghost", "marker", "burst"
PILE, FOLDER = "pile", "folder"


STEPS = (
    PUSH, PUSH, PUSH, AGAIN, OVERWRITE, WITHDRAW, DESTROY, TELL, PARTS, GHOST, MARKER, FORGE, BURST, PILE,
    FOLDER,
)  # fmt: skip
WAITS = (0.0, 0.0, 0.5, 5.0, 61.0, 200.0, 700.0, 2000.0)
BEGINS, LENGTHS = (0.0, 30.0, 300.0, 1200.0), (60.0, 300.0, 3600.0)
STRETCHES = ((OUTAGE, 1.0), (THROTTLE, 1.0), (THROTTLE, 0.3), (LOSE, 0.3))
INTERLEAVES, DUPLICATES, COPIES = (0.0, 0.1, 0.5), (0.0, 0.2, 0.6), (2, 5, 50)
DELAYS, LOST = (0.0, 60.0, 4000.0), (0.0, 0.0, 0.2)
FAILING = (0.0, 0.0, 0.4)
WINDOWS = ("all", "all", "all", "40 rows", "3 days")
TRIGGERS: tuple[tuple[tuple[str, Any], ...], ...] = (
    (),
    (("max_per_day", 2),),
    (("cooldown_seconds", 7200),),
    (("max_usd_per_month", 6.0), ("usd_per_hour", 5.0)),
    (("quiet_seconds", 0), ("cooldown_seconds", 0)),
    (("delivery", "manifest"),),
)


@dataclass(frozen=True)
class Step:
    """Something a person, a program or an enemy does.

    Attributes:
        what: One of the names above.
        which: Picks the content, or the earlier push it is about.
        wait: Seconds after the step before.
        other: It concerns the other model.
    """

    what: str
    which: int = 0
    wait: float = 0.0
    other: bool = False


@dataclass(frozen=True)
class Story:
    """Everything a world is told.

    Attributes:
        steps: In their order.
        seed: Of the order in which things happen that happen at the same time.
        interleave: How often another call of a function goes on between two calls of AWS.
        triggers: Changes of the spec's triggers.
        window: Of the training.
    """

    steps: tuple[Step, ...]
    seed: int = 0
    interleave: float = 0.2
    rates: tuple[tuple[str, float], ...] = ()
    stretches: tuple[Stretch, ...] = ()
    strikes: tuple[Strike, ...] = ()
    duplicates: float = 0.0
    most_copies: int = 2
    redelivers: float = 0.0
    delay_seconds: float = 0.0
    lost: float = 0.0
    lost_endings: float = 0.0
    failing: float = 0.0
    hopeless: float = 0.0
    triggers: tuple[tuple[str, Any], ...] = ()
    window: str = "all"

    @property
    def crashes(self) -> bool:
        """Whether a function may have died halfway, or not know whether a call was carried out."""
        deadly = (LOSE, HANG, KILL_BEFORE, KILL_AFTER)
        kinds = [kind for kind, _ in self.rates] + [s.kind for s in self.strikes]
        return any(kind in deadly for kind in kinds) or bool(self.stretches) or bool(self.rates)

    @property
    def is_plain(self) -> bool:
        """Whether nothing is late, lost or broken."""
        return not (self.crashes or self.delay_seconds or self.lost or self.failing or self.hopeless)

    def nemesis(self) -> Nemesis:
        """What goes wrong."""
        return Nemesis(
            seed=self.seed,
            rates=dict(self.rates),
            stretches=self.stretches,
            strikes=self.strikes,
            duplicates=self.duplicates,
            most_copies=self.most_copies,
            redelivers=self.redelivers,
            delay_seconds=self.delay_seconds,
            lost=self.lost,
            lost_endings=self.lost_endings,
            failing=self.failing,
            hopeless=self.hopeless,
        )


def play(story: Story, *, settle: bool = True) -> World:
    """Let it happen, and let the world come to rest; the world is closed, its history can be looked at."""
    specs = [contents.spec(name, window=story.window, **dict(story.triggers)) for name in (MODEL, OTHER)]
    with World(story.nemesis(), specs=specs, seed=story.seed, interleave=story.interleave) as world:
        for step in story.steps:
            world.run(step.wait)
            _do(world, step)
        world.run(HOUR / 2)
        if settle:
            world.settle()
    return world


def broken(story: Story) -> list[str]:
    """The promises that are broken in a story, a world that never rests among them."""
    try:
        world = play(story)
    except AssertionError as error:
        return [f"I5: {error}"]
    return violations(world, Expectation(crashes=story.crashes, prompt=story.is_plain))


def content_of(which: int) -> Content:
    """One of the contents people push; small numbers are the plainest."""
    kind, block = which % 8, which // 8
    if kind < 3:
        return contents.good(3 * (which % 24))
    if kind == 3:
        forms = ("gzip", "semicolons", "jsonl", "bom")
        return contents.twin(3 * (block % 8), forms[block % 4])
    if kind == 4:
        return contents.partly(100 + 3 * (block % 8))
    if kind == 5:
        return contents.bad(block % 8)
    return POISON[which % len(POISON)]


def _do(world: World, step: Step) -> None:
    model = OTHER if step.other else MODEL
    earlier = [push for push in world.facts.pushes if push.content.verdict not in ("ignored", "manifest")]
    push = earlier[step.which % len(earlier)] if earlier else None
    content = content_of(step.which)
    number = len(world.facts.pushes)
    if step.what == BURST:
        for more in range(12):
            world.push(content_of(step.which + more), f"burst-{number}-{more}-{content.name}", model)
    elif step.what == PILE:
        for more in range(3):
            world.push(content_of(step.which + more), f"pile-{number}.csv", model)
    elif step.what == FOLDER:
        _deliver(world, step.which, model, f"folder-{number}")
    elif step.what == PARTS:
        _upload_in_parts(world, content, model, complete=bool(step.which % 2))
    elif step.what == GHOST:
        world.push(content, f"{number}-{content.name}", "ghost")
    elif step.what == MARKER:
        world.mark(f"incoming/{model}/folder-{number}/")
    elif step.what == FORCE:
        world.force(model)
    elif step.what == FORGE:
        world.forge(forgery(step.which))
    elif push is None or step.what == PUSH:
        world.push(content, f"{number}-{content.name}", model)
    elif step.what == AGAIN:
        world.push(push.content, f"again-{number}-{push.content.name}", model)
    elif step.what == OVERWRITE:
        name = push.key.removeprefix(f"incoming/{push.model}/")
        world.push(content_of(step.which + 1), name, push.model)
    elif step.what == WITHDRAW:
        world.withdraw(push)
    elif step.what == DESTROY:
        world.destroy(push)
    elif step.what == TELL:
        world.tell(push, copies=1 + step.which % 5)


def _deliver(world: World, which: int, model: str, folder: str) -> None:
    """A folder of files with its manifest, in any order; of every fourth one file never comes."""
    names = [f"part-{number}.csv" for number in range(2 + which % 3)]
    listed = {"files": [{"name": name} for name in names]}
    manifest = Content("_MANIFEST.json", json.dumps(listed).encode(), verdict="manifest")
    files = [(name, content_of(which + number)) for number, name in enumerate(names)]
    order = [*(files[:-1] if which % 4 == 0 else files), (manifest.name, manifest)]
    random.Random(which).shuffle(order)
    for name, content in order:
        world.push(content, f"{folder}/{name}", model)


def _upload_in_parts(world: World, content: Content, model: str, *, complete: bool) -> None:
    """Upload in two parts; without the end there is no object, no event and nothing to do."""
    key = f"incoming/{model}/parts-{len(world.s3.uploads)}-{len(world.facts.pushes)}-{content.name}"
    where = {"Bucket": DATA, "Key": key}
    upload = world.s3.perform("CreateMultipartUpload", where)["UploadId"]
    half = len(content.body) // 2
    for number, body in enumerate((content.body[:half], content.body[half:]), start=1):
        world.s3.perform("UploadPart", {**where, "UploadId": upload, "PartNumber": number, "Body": body})
        if not complete:
            return
    parts = {"Parts": [{"PartNumber": 1}, {"PartNumber": 2}]}
    world.s3.perform("CompleteMultipartUpload", {**where, "UploadId": upload, "MultipartUpload": parts})
    push = world.facts.pushes[-1]
    push.content, push.model = content, model


def forgery(which: int) -> str:
    """A message that was not made by our rule for our bucket."""
    event: dict[str, Any] = {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "account": ACCOUNT,
        "detail": {"bucket": {"name": DATA}, "object": {"key": "incoming/toy/forged.csv", "size": 1}},
    }
    kind = which % 6
    if kind == 0:
        event["account"] = "999999999999"
    elif kind == 1:
        event["detail"]["bucket"]["name"] = "somebody-elses-bucket"
    elif kind == 2:
        event["source"] = "com.example"
    elif kind == 3:
        event["detail"]["object"]["key"] = "accepted/toy/0123456789abcdef0123.parquet"
    elif kind == 4:
        return "not even JSON"
    else:
        event["detail"]["object"] = ["no", "object"]
    return json.dumps(event | {"forgery": which})


def tell(seed: int) -> Story:
    """A story made up by a random source; for long nights, and for mutants that need no shrinking."""
    source = random.Random(seed)
    told = tuple(
        Step(source.choice(STEPS), source.randint(0, 95), source.choice(WAITS), source.random() < 0.25)
        for _ in range(source.randint(1, 14))
    )
    if source.random() < 0.2:
        return Story(told, seed, interleave=source.choice(INTERLEAVES), triggers=source.choice(TRIGGERS))
    kinds = source.sample(KINDS, source.randint(0, 3))
    begin = source.choice(BEGINS)
    length, how = source.choice(LENGTHS), source.choice(STRETCHES)
    return Story(
        told,
        seed,
        interleave=source.choice(INTERLEAVES),
        rates=tuple((kind, source.uniform(0.001, 0.03)) for kind in kinds),
        stretches=(Stretch(begin, begin + length, *how),) if source.random() < 0.3 else (),
        duplicates=source.choice(DUPLICATES),
        most_copies=source.choice(COPIES),
        redelivers=source.choice(DUPLICATES),
        delay_seconds=source.choice(DELAYS),
        lost=source.choice(LOST),
        lost_endings=source.choice((0.0, 0.3)),
        failing=source.choice(FAILING),
        hopeless=source.choice(FAILING),
        triggers=source.choice(TRIGGERS),
        window=source.choice(WINDOWS),
    )


# What hypothesis may tell.


def steps(*, most: int = 14, kinds: Sequence[str] = STEPS) -> st.SearchStrategy[tuple[Step, ...]]:
    """What people do, over minutes and hours."""
    one = st.builds(
        Step,
        what=st.sampled_from(kinds),
        which=st.integers(0, 95),
        wait=st.sampled_from(WAITS),
        other=st.sampled_from([False, False, False, True]),
    )
    return st.lists(one, min_size=1, max_size=most).map(tuple)


def rates(
    least: float, most: float, kinds: Sequence[str]
) -> st.SearchStrategy[tuple[tuple[str, float], ...]]:
    """How often calls go wrong, for some kinds of faults."""
    return st.lists(
        st.tuples(st.sampled_from(kinds), st.floats(least, most)), max_size=3, unique_by=lambda pair: pair[0]
    ).map(tuple)


def stretches() -> st.SearchStrategy[tuple[Stretch, ...]]:
    """Times of throttling and outage."""
    one = st.builds(
        lambda begin, length, how: Stretch(begin, begin + length, *how),
        st.sampled_from(BEGINS),
        st.sampled_from(LENGTHS),
        st.sampled_from(STRETCHES),
    )
    return st.lists(one, max_size=1).map(tuple)


def tellable(**fixed: Any) -> st.SearchStrategy[Story]:
    """All stories, but for what is fixed."""
    parts: dict[str, st.SearchStrategy[Any]] = {
        "steps": steps(),
        "seed": st.integers(0, 2**32 - 1),
        "interleave": st.sampled_from(INTERLEAVES),
        "rates": rates(0.001, 0.03, (THROTTLE, OUTAGE, LOSE, HANG, KILL_BEFORE, KILL_AFTER)),
        "stretches": stretches(),
        "duplicates": st.sampled_from(DUPLICATES),
        "most_copies": st.sampled_from(COPIES),
        "redelivers": st.sampled_from(DUPLICATES),
        "delay_seconds": st.sampled_from(DELAYS),
        "lost": st.sampled_from(LOST),
        "lost_endings": st.sampled_from([0.0, 0.3]),
        "failing": st.sampled_from(FAILING),
        "hopeless": st.sampled_from(FAILING),
        "triggers": st.sampled_from(TRIGGERS),
        "window": st.sampled_from(WINDOWS),
    }
    given = {
        name: value if isinstance(value, st.SearchStrategy) else st.just(value)
        for name, value in fixed.items()
    }
    return st.builds(Story, **(parts | given))
