"""The faults this stack must survive, one by one, each with what is expected of it.

The streams tell the same in all mixtures; here each stands alone, so that a failure has a name.
"""

import gzip
import json
import random

import pytest

from tests.faults import contents
from tests.faults.account import ACCOUNT
from tests.faults.checker import Expectation, check, listed
from tests.faults.contents import MODEL, OTHER, POISON, Content, bad, good, partly, spec, twin
from tests.faults.nemesis import HANG, KILL_AFTER, LOSE, OUTAGE, THROTTLE, Nemesis, Stretch, Strike
from tests.faults.world import DATA, HOUR, PREFIX, World
from tests.training.examples import HEADER

CALM = Expectation(crashes=False, prompt=True)


def state_of(world, push):
    """What the ledger says of a push; None when it says nothing."""
    item = world.item(push.model, f"object#{push.key}#{push.version_id}")
    return item["state"]["S"] if item else None


def entry_of(world, push):
    """The quarantine's entry of what was pushed."""
    return world.item(push.model, f"quarantine#{push.content.sha256[:16]}")


def end_of(world):
    """What is left when all is done, whatever the way there was."""
    data = {
        (pk, sk): (item["key"]["S"], item["rows"]["N"], item["dropped"]["N"])
        for (pk, sk), item in world.dynamodb.tables[f"{PREFIX}-ledger"].items()
        if sk.startswith("data#")
    }
    settled = {
        (push.key, push.version_id): "good" if state_of(world, push) in ("accepted", "duplicate") else "bad"
        for push in world.facts.pushes
    }
    last = {model: listed(world, world.succeeded(model)[-1]) for model in world.specs if world.runs(model)}
    quarantine = world.s3.keys(DATA, "quarantine/")
    return data, settled, last, sorted({key.split("/")[2][:16] for key in quarantine})


# 1


@pytest.mark.parametrize("copies", [2, 7, 50])
@pytest.mark.parametrize("interleave", [0.0, 0.5])
def test_an_event_that_comes_up_to_fifty_times_and_in_parallel_leads_to_one_training(copies, interleave):
    with World(seed=copies, interleave=interleave) as world:
        push = world.push(good(1))
        world.tell(push, copies)
        world.settle()
        check(world, CALM)
    assert len(world.runs()) == 1
    assert len(world.sagemaker.packages) == 1
    assert state_of(world, push) == "accepted"


# 2


def shuffled(seed):
    """Twenty versions, some over one another, whose events come in an order of the seed's choice."""
    world = World(Nemesis(lost=1.0), seed=1)
    with world:
        for number, content in enumerate(contents.mixture(20, seed=3)):
            push = world.push(content, f"file-{number % 7}.csv")
            push.told = True
        order = list(world.facts.pushes)
        if seed is not None:
            random.Random(seed).shuffle(order)
        for number, push in enumerate(order):
            world.tell(push, delay_seconds=number * 0.5)
        world.settle()
        check(world)
    return end_of(world)


def test_any_order_of_twenty_versions_ends_as_their_own_order_does():
    in_order = shuffled(None)
    assert len(in_order[0]) > 8
    for seed in range(100):
        assert shuffled(seed) == in_order, seed


def test_an_old_version_that_comes_late_takes_nothing_back():
    with World(Nemesis(lost=1.0)) as world:
        old, new = world.push(good(1), "file.csv"), world.push(good(2), "file.csv")
        world.tell(new)
        world.run(HOUR / 4)
        assert len(listed(world, world.succeeded()[0])) == 2
        world.tell(old)
        world.settle()
        check(world)
    assert len(world.succeeded()) == 2
    assert len(listed(world, world.succeeded()[1])) == 3


# 3


def test_an_event_of_a_deleted_file_ends_as_gone_and_nobody_tries_again():
    with World() as world:
        push = world.push(good(1))
        world.withdraw(push)
        erased = world.push(good(2))
        world.destroy(erased)
        world.settle()
        check(world)
    assert state_of(world, push) == state_of(world, erased) == "gone"
    assert not world.runs()
    assert all(message.receives == 1 for message in world.queues["intake"].all.values())
    assert not world.queues["intake-dead"].messages


def test_an_overwritten_version_is_data_all_the_same():
    with World() as world:
        pushes = [world.push(good(block), "file.csv") for block in (1, 2, 3)]
        world.settle()
        check(world, CALM)
    assert [state_of(world, push) for push in pushes] == ["accepted"] * 3
    assert len(listed(world, world.succeeded()[-1])) == 4


# 4


def test_half_an_upload_is_nothing_until_it_is_completed():
    body, key = good(1).body, f"incoming/{MODEL}/large.csv"
    with World() as world:
        upload = world.s3.perform("CreateMultipartUpload", {"Bucket": DATA, "Key": key})["UploadId"]
        for number in range(3):
            world.run(HOUR)
            part = {"Body": body[number * 200 : None if number == 2 else (number + 1) * 200]}
            world.s3.perform("UploadPart", {"UploadId": upload, "PartNumber": number + 1, **part})
            assert not world.facts.pushes
            assert not world.runs()
        parts = {"Parts": [{"PartNumber": number} for number in (1, 2, 3)]}
        world.s3.perform("CompleteMultipartUpload", {"UploadId": upload, "MultipartUpload": parts})
        world.facts.pushes[0].content = good(1)
        world.settle()
        check(world, CALM)
    assert len(world.runs()) == 1


# 5


def manifest(*names):
    return Content("_MANIFEST.json", json.dumps({"files": list(names)}).encode(), verdict="manifest")


def test_a_delivery_without_its_manifest_is_not_trained_on_and_people_hear_of_it_once():
    with World(specs=[spec(delivery="manifest")]) as world:
        for number in range(9):
            world.push(good(number), f"monday/part-{number}.csv")
        world.run(3 * HOUR)
        assert not world.runs()
        late = [text for _, subject, text in world.sns.published if "overdue" in subject]
        assert len(late) == 1
        assert "monday" in late[0]
        overdue = [values for _, _, values in world.facts.metrics if "DeliveriesOverdue" in values]
        assert len(overdue) == 1
        world.push(good(9), "monday/part-9.csv")
        world.push(manifest(*(f"part-{number}.csv" for number in range(10))), "monday/_MANIFEST.json")
        world.settle()
        check(world)
    assert len(world.runs()) == 1
    assert len(listed(world, world.runs()[0])) == 11


def test_a_delivery_with_its_manifest_first_waits_for_the_last_file():
    with World(specs=[spec(delivery="manifest", cooldown_seconds=0)]) as world:
        world.push(manifest("a.csv", "b.csv", "c.csv"), "d/_MANIFEST.json")
        for number, name in enumerate("ab"):
            world.push(good(number), f"d/{name}.csv")
            world.run(HOUR / 4)
            assert not world.runs()
        world.push(bad(7), "d/c.csv")
        world.settle()
        check(world)
    assert len(world.runs()) == 1
    assert len(listed(world, world.runs()[0])) == 3


# 6 to 9: what the check says is tested where it lives; here, what follows from it


@pytest.mark.parametrize("poison", POISON, ids=lambda content: content.name)
def test_a_poisoned_file_is_set_aside_with_one_alert_and_stops_nothing(poison):
    with World() as world:
        push = world.push(poison)
        world.run(HOUR / 4)
        assert state_of(world, push) == "quarantined"
        assert not world.runs()
        assert len(world.sns.published) == 1
        world.push(good(1))
        world.settle()
        check(world, CALM)
    assert len(world.succeeded()) == 1
    assert len(world.sns.published) == 1


def test_ten_bad_files_of_one_delivery_are_one_alert():
    with World() as world:
        for block in range(10):
            world.push(bad(block))
        world.settle()
        check(world, CALM)
    (alert,) = world.sns.published
    assert all(f"bad-{block}.csv" in alert[2] for block in range(10))


def bomb(levels, size):
    body = b"x" * size
    for _ in range(levels):
        body = gzip.compress(body, mtime=0)
    return Content(f"bomb-{levels}.csv.gz", body, verdict="quarantined")


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_bomb_stops_at_the_declared_size_and_is_set_aside(levels):
    data = spec().to_dict()
    data["contract"] |= {"max_unpacked_mb": 1}
    with World(specs=[contents.parse(data)]) as world:
        push = world.push(bomb(levels, 20_000_000))
        world.settle()
        check(world, CALM)
    assert state_of(world, push) == "quarantined"


def changed(how):
    """The same rows after somebody changed the export."""
    lines = [line.split(",") for line in good(1).body.decode().splitlines()]
    head, rows = lines[0], lines[1:]
    size = head.index("size")
    if how == "added":
        lines = [[*head, "more"], *([*row, "1"] for row in rows)]
    elif how == "reordered":
        lines = [[line[1], line[0], *line[2:]] for line in lines]
    elif how == "removed":
        lines = [[*line[:size], *line[size + 1 :]] for line in lines]
    elif how == "renamed":
        lines = [["seize" if cell == "size" else cell for cell in head], *rows]
    elif how == "retyped":
        lines = [head, *([*row[:size], "large", *row[size + 1 :]] for row in rows)]
    verdict = "accepted" if how in ("added", "reordered") else "quarantined"
    text = "\n".join(",".join(line) for line in lines) + "\n"
    return Content(
        f"{how}.csv", text.encode(), good(1).rows if verdict == "accepted" else frozenset(), verdict
    )


@pytest.mark.parametrize("how", ["added", "reordered", "removed", "renamed", "retyped"])
def test_added_columns_are_tolerated_and_all_other_changes_are_refused_with_a_reason(how):
    with World() as world:
        push = world.push(changed(how))
        world.settle()
        check(world, CALM)
    assert state_of(world, push) == push.verdict
    if push.verdict == "quarantined":
        assert "size" in entry_of(world, push)["reason"]["S"]


def test_another_unit_is_caught_by_the_distribution():
    rows = [line.split(",") for line in good(1, 200).body.decode().splitlines()[1:]]
    sizes = sorted(abs(float(row[3] or 1)) for row in rows)
    data = spec().to_dict()
    deciles = [sizes[len(sizes) * number // 10] for number in range(1, 10)]
    data["features"]["size"] |= {"deciles": deciles, "min": None, "max": None, "nullable": False}
    data["contract"] |= {"unit_factor": 5.0}
    lines = [[*row[:3], repr(abs(float(row[3] or 1)) * 60), *row[4:]] for row in rows]
    text = "\n".join([HEADER, *(",".join(line) for line in lines)]) + "\n"
    with World(specs=[contents.parse(data)]) as world:
        push = world.push(Content("seconds.csv", text.encode(), verdict="quarantined"))
        world.settle()
        check(world, CALM)
    assert "size" in entry_of(world, push)["reason"]["S"]


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("one row", good(1).body.decode().splitlines()[1:2]),
        ("one label", [line[:-1] + "1" for line in good(1).body.decode().splitlines()[1:]]),
        ("all alike", good(1).body.decode().splitlines()[1:2] * 30),
    ],
)
def test_data_that_nothing_can_be_learnt_from_is_set_aside(name, rows):
    body = "\n".join([HEADER, *rows]) + "\n"
    with World() as world:
        push = world.push(Content(f"{name}.csv", body.encode(), verdict="quarantined"))
        world.settle()
        check(world, CALM)
    assert state_of(world, push) == "quarantined"
    assert not world.runs()


# 15


@pytest.mark.parametrize("kind", [LOSE, KILL_AFTER, HANG])
@pytest.mark.parametrize("operation", ["StartExecution", "TransactWriteItems", "PutObject"])
def test_a_function_that_ends_after_its_effect_is_followed_by_no_second_job(kind, operation):
    for place in (1, 2):
        with World(Nemesis(strikes=[Strike(place, kind, operation)])) as world:
            world.push(good(1))
            world.settle()
            check(world)
        assert len(world.runs()) == 1
        assert len(world.sagemaker.packages) == 1


def test_an_execution_whose_starter_died_is_found_by_its_name():
    with World(Nemesis(strikes=[Strike(1, KILL_AFTER, "StartExecution")])) as world:
        world.push(good(1))
        world.run(HOUR / 2)
        assert len(world.runs()) == 1
        assert world.nemesis.counts["StartExecution"] == 2
        world.settle()
        check(world)


# 16


def test_a_claim_whose_function_died_ends_with_the_function_s_time_and_not_an_hour_later():
    with World(Nemesis(strikes=[Strike(1, KILL_AFTER, "PutItem")])) as world:
        push = world.push(good(1))
        world.run(60)
        assert state_of(world, push) == "claimed"
        world.tell(push)
        world.run(60)
        assert state_of(world, push) == "claimed", "the claim of a function that may live was broken"
        world.run(800)
        world.tell(push)
        world.run(60)
        assert state_of(world, push) == "accepted"
        world.settle()
        check(world)
    assert len(world.runs()) == 1


def test_without_another_event_the_sweep_finds_what_a_dead_function_left():
    with World(Nemesis(strikes=[Strike(1, KILL_AFTER, "PutItem")])) as world:
        push = world.push(good(1))
        world.run(HOUR / 2)
        assert state_of(world, push) == "accepted"
        world.settle()
        check(world)


# 17


def test_two_pushes_within_a_second_are_both_data_and_the_model_is_from_both():
    for seed in range(200):
        with World(seed=seed, interleave=0.5, seeded=bool(seed % 2)) as world:
            first, second = (
                world.push(good(1), "a.csv"),
                world.push(twin(2) if seed % 3 else good(2), "b.csv"),
            )
            world.run(HOUR / 2)
            check(world, Expectation(at_rest=False))
        assert state_of(world, first) == state_of(world, second) == "accepted", seed
        assert len(listed(world, world.runs()[-1])) == 2 + seed % 2, seed


def test_two_pushes_during_a_training_are_one_more_training_and_no_two_go_on_at_once():
    with World() as world:
        world.push(good(1))
        world.run(100)
        assert len(world.runs()) == 1
        world.push(good(2))
        world.run(20)
        world.push(good(3))
        world.settle()
        check(world, CALM)
    assert len(world.succeeded()) == 2
    assert len(listed(world, world.succeeded()[-1])) == 4


# 23


def busy_hour(nemesis):
    """Twenty files over twenty minutes."""
    with World(nemesis, specs=[spec(), spec(OTHER)]) as world:
        for number, content in enumerate(contents.mixture(20, seed=7)):
            world.push(content, f"{number}-{content.name}")
            world.run(60)
        world.settle()
        check(world)
    return world


def test_throttling_costs_time_and_no_storm_of_calls():
    base = busy_hour(Nemesis())
    stretches = [Stretch(0, 2 * HOUR, THROTTLE, 0.3), Stretch(300, 600, THROTTLE)]
    world = busy_hour(Nemesis(stretches=stretches))
    assert end_of(world)[:2] == end_of(base)[:2]
    assert world.account.attempts <= 4 * base.account.attempts
    within = [done for done in world.account.history if 300 <= done.call.at - world.nemesis.begin < 600]
    assert sum(done.attempts for done in within) <= base.account.attempts / 4


# 31


def test_an_outage_of_an_hour_ends_as_if_it_had_not_been():
    base = busy_hour(Nemesis())
    world = busy_hour(Nemesis(stretches=[Stretch(100, 100 + HOUR, OUTAGE)]))
    assert end_of(world) == end_of(base)
    assert world.account.attempts <= 4 * base.account.attempts
    assert len(world.runs()) <= len(base.runs())


# 36


def event(**changes):
    detail = {"bucket": {"name": DATA}, "object": {"key": "incoming/toy/a.csv", "version-id": "0" * 32}}
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "account": ACCOUNT,
        "region": "us-east-1",
        "detail": detail,
    } | changes


FORGED = {
    "another account": event(account="999999999999"),
    "another bucket": event(detail={"bucket": {"name": "theirs"}, "object": {"key": "incoming/toy/a.csv"}}),
    "another source": event(source="com.example"),
    "another kind": event(**{"detail-type": "Object Deleted"}),
    "data of ours": event(detail={"bucket": {"name": DATA}, "object": {"key": "accepted/toy/a.parquet"}}),
    "no key": event(detail={"bucket": {"name": DATA}, "object": {}}),
    "a list": [],
    "no JSON": "drop table",
    "a test of S3": {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": DATA},
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_event_ends_as_a_dead_letter_and_moves_nothing(name):
    with World() as world:
        world.push(good(1))
        world.run(HOUR)
        before = (len(world.s3.log), len(world.runs()))
        world.forge(FORGED[name])
        world.settle()
        check(world)
    assert (len(world.s3.log), len(world.runs())) == before
    assert len(world.queues["intake-dead"].messages) == 1


def test_an_event_of_ours_about_a_file_that_never_was_moves_nothing():
    with World() as world:
        world.send("intake", event())
        world.settle()
        check(world)
    assert not world.runs()
    assert not world.s3.log


# What else a person relies on


def test_dead_letters_that_are_sent_back_are_handled_once_each():
    with World(Nemesis(stretches=[Stretch(0, 12 * HOUR, OUTAGE)])) as world:
        pushes = [world.push(good(block)) for block in range(12)]
        world.run(12 * HOUR)
        assert len(world.queues["intake-dead"].messages) >= 12
        world.settle()
        check(world)
    assert [state_of(world, push) for push in pushes] == ["accepted"] * 12
    assert len(world.succeeded()) == 1


def test_a_file_the_function_cannot_handle_ends_as_dead_and_is_not_tried_for_ever(monkeypatch):
    from training.contract import check as module

    tried = []

    def fail(path, spec, **options):
        tried.append(path)
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(module, "check_file", fail)
    with World() as world:
        push = world.push(good(1))
        world.run(24 * HOUR)
        count = len(tried)
        assert state_of(world, push) == "dead"
        assert world.queues["intake-dead"].messages
        world.run(48 * HOUR)
        assert len(tried) == count < 50


def test_a_hundred_files_in_half_a_minute_are_one_or_two_trainings():
    with World(interleave=0.1) as world:
        for number in range(120):
            world.push(good(number % 40) if number % 7 else partly(200 + number), f"{number}.csv")
            if number % 5 == 0:
                world.run(1.0)
        world.settle()
        check(world, Expectation(crashes=False))
    assert 1 <= len(world.runs()) <= 2


def test_files_that_never_stop_are_trained_on_all_the_same():
    with World(specs=[spec(cooldown_seconds=0)]) as world:
        for number in range(60):
            world.push(good(number))
            world.run(30)
        assert world.runs()
        world.settle()
        check(world, Expectation(crashes=False))


def test_a_person_gets_past_the_limits_and_nobody_else_does():
    with World(specs=[spec(max_per_day=1)]) as world:
        world.push(good(1))
        world.run(HOUR)
        world.push(good(2))
        world.run(3 * HOUR)
        assert len(world.runs()) == 1
        held = [subject for _, subject, _ in world.sns.published if "held back by max_per_day" in subject]
        assert len(held) == 1
        world.force()
        world.run(HOUR)
        assert len(world.runs()) == 2
        world.push(good(3))
        world.run(3 * HOUR)
        assert len(world.runs()) == 2
        world.settle()
    assert len(world.runs()) == 3
    assert world.runs()[2].started - world.runs()[1].started >= 24 * HOUR


def test_a_held_training_begins_by_itself_when_its_time_has_come():
    with World(specs=[spec(cooldown_seconds=7200)]) as world:
        world.push(good(1))
        world.run(HOUR / 2)
        world.push(good(2))
        world.settle()
        check(world, Expectation(crashes=False))
    gap = world.runs()[1].started - world.runs()[0].started
    assert 7200 <= gap < 7200 + 400
