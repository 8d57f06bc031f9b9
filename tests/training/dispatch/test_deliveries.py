"""A delivery with a manifest counts when all it lists has been looked at; bad files do not stop good ones."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.spec import Triggers
from training.dispatch import deliveries
from training.ledger.records import COMPLETE, DataRecord, DeliveryRecord, ObjectRecord, QuarantineRecord

BY_FOLDER = Triggers(delivery="manifest", quiet_seconds=60, manifest_deadline_seconds=3600)
BY_FILES = Triggers(quiet_seconds=60)


def delivery(*names, folder="d1", **values):
    files = [name if isinstance(name, dict) else {"name": name} for name in names] or None
    return DeliveryRecord(model="toy", folder=folder, files=files, **({"first_at": 100.0} | values))


def seen(name, state="accepted", folder="d1", version="v1", **values):
    key = f"incoming/toy/{folder}/{name}" if folder else f"incoming/toy/{name}"
    known = {"sha256": f"sha-{name}", "delivery": key[len("incoming/toy/") :].rpartition("/")[0]}
    return ObjectRecord.of(key, version, state=state, **(known | values))


def data(name, folder="d1", **values):
    known = {"key": f"accepted/toy/{name}.parquet", "delivery": folder, "accepted_at": 200.0}
    return DataRecord(model="toy", raw_sha256=f"sha-{name}", **(known | values))


def refused(name, folder="d1", **values):
    source = f"incoming/toy/{folder}/{name}"
    return QuarantineRecord(
        model="toy",
        id=name,
        key=f"quarantine/toy/{name}",
        source=source,
        delivery=folder,
        **({"at": 200.0} | values),
    )


def look(records, *objects):
    return deliveries.look(records if isinstance(records, list) else [records], objects)


def counted(found, *records):
    return [
        record.key[len("accepted/toy/") : -len(".parquet")] for record in deliveries.counting(records, found)
    ]


@pytest.mark.parametrize("state", ["accepted", "duplicate", "quarantined", "ignored"])
def test_a_file_that_was_looked_at_is_there(state):
    (found,) = look(delivery("a", "b"), seen("a"), seen("b", state))
    assert found.is_ready


@pytest.mark.parametrize("state", ["claimed", "gone", "dead"])
def test_a_file_that_was_not_looked_at_is_missing(state):
    (found,) = look(delivery("a", "b"), seen("a"), seen("b", state))
    assert (found.is_ready, found.missing) == (False, ("b",))
    assert counted([found], data("a")) == []


def test_without_a_manifest_nothing_counts():
    (found,) = look(delivery(), seen("a"))
    assert not found.is_ready
    assert counted([found], data("a")) == []


def test_only_listed_files_count_and_the_others_are_named():
    (found,) = look(
        delivery("a"), seen("a"), seen("extra"), seen("bad", "quarantined"), seen("_MANIFEST.json")
    )
    assert (found.is_ready, found.unlisted) == (True, ("extra",))
    assert counted([found], data("a"), data("extra")) == ["a"]


def test_a_content_that_is_announced_is_waited_for():
    announced = delivery({"name": "a", "sha256": "SHA-A".lower()})
    (wrong,) = look(announced, seen("a", sha256="other"))
    assert wrong.missing == ("a",)
    (right,) = look(announced, seen("a", sha256="other"), seen("a", version="v2"))
    assert right.is_ready
    assert right.contents == {"sha-a"}


def test_a_size_that_is_announced_is_waited_for():
    assert look(delivery({"name": "a", "size": 5}), seen("a", size=4))[0].missing == ("a",)
    assert look(delivery({"name": "a", "size": 5}), seen("a", size=5))[0].is_ready


def test_a_file_too_big_to_read_has_no_digest_and_is_there():
    (found,) = look(delivery({"name": "a", "sha256": "f" * 64}), seen("a", "quarantined", sha256=None))
    assert found.is_ready


def test_the_same_bytes_in_two_deliveries_count_with_the_first_complete_one():
    found = look(
        [delivery("a", "missing"), delivery("copy", folder="d2")],
        seen("a"),
        seen("copy", "duplicate", folder="d2", sha256="sha-a"),
    )
    assert counted(found, data("a")) == ["a"]


def test_the_seed_and_data_from_before_manifests_count():
    (found,) = look(delivery("a", first_at=150.0))
    seed = replace(data("x", folder=""), key="accepted/toy/0123-seed.csv")
    assert deliveries.counting([seed], [found]) == [seed]
    assert counted([found], data("old", accepted_at=149.0), data("older", folder="d0"), data("new")) == [
        "old",
        "older",
    ]


def test_a_folder_below_one_with_a_manifest_is_part_of_it():
    found = look(
        [delivery("year=2026/a", first_at=100.0), delivery(folder="d1/year=2026")],
        seen("year=2026/a"),
        seen("year=2026/extra"),
    )
    parent, part = found
    assert parent.is_ready
    assert part.is_part
    assert parent.unlisted == ("year=2026/extra",)
    assert not deliveries.is_overdue(part, BY_FOLDER, 1e9)
    assert counted(
        found, data("year=2026/a", folder="d1/year=2026"), data("year=2026/extra", folder="d1/year=2026")
    ) == ["year=2026/a"]


def test_files_directly_below_the_model_can_be_a_delivery():
    (found,) = look(delivery("a", folder=""), seen("a", folder=""), seen("b", folder="other"))
    assert (found.is_ready, found.unlisted) == (True, ())


def test_what_counted_goes_on_counting_when_the_manifest_is_replaced():
    (found,) = look(delivery("a", "b", "later", complete_at=300.0), seen("a"), seen("b"))
    assert not found.is_ready
    assert counted([found], data("a"), data("b", accepted_at=301.0)) == ["a"]


def test_a_delivery_is_overdue_after_its_deadline_and_while_it_is_open():
    (late,) = look(delivery("a"))
    assert not deliveries.is_overdue(late, BY_FOLDER, 3699.9)
    assert deliveries.is_overdue(late, BY_FOLDER, 3700)
    (done,) = look(delivery("a"), seen("a"))
    assert not deliveries.is_overdue(done, BY_FOLDER, 1e9)
    (closed,) = look(delivery("a", state=COMPLETE))
    assert not deliveries.is_overdue(closed, BY_FOLDER, 1e9)


def test_refused_files_are_told_of_after_the_quiet_period():
    entries = [refused("x", at=100.0), refused("y", at=130.0), refused("old", announced=True)]
    assert deliveries.to_announce(entries, (), BY_FILES, 130.0, 189.9) == {}
    assert deliveries.to_announce(entries, (), BY_FILES, 130.0, 190.0) == {"": entries[:2]}
    assert deliveries.to_announce(entries[2:], (), BY_FILES, 0, 1e9) == {}


def test_refused_files_of_a_stream_that_never_ends_are_told_of_all_the_same():
    entries = [refused("x", at=100.0)]
    assert deliveries.to_announce(entries, (), BY_FILES, 699.0, 699.9) == {}
    assert deliveries.to_announce(entries, (), BY_FILES, 699.0, 700.0) == {"": entries}


def test_refused_files_are_told_of_when_their_delivery_ends():
    bad = refused("bad")
    (open_,) = look(delivery("a", "bad"), seen("bad", "quarantined"))
    assert deliveries.to_announce([bad], [open_], BY_FOLDER, 0, 300) == {}
    assert deliveries.to_announce([bad], [open_], BY_FOLDER, 0, 3700) == {"d1": [bad]}
    (done,) = look(delivery("a", "bad"), seen("bad", "quarantined"), seen("a"))
    assert deliveries.to_announce([bad], [done], BY_FOLDER, 0, 300) == {"d1": [bad]}


def test_a_refused_manifest_is_told_of_at_once():
    bad = refused("_MANIFEST.json")
    (open_,) = look(delivery())
    assert deliveries.to_announce([bad], [open_], BY_FOLDER, 0, 201) == {"d1": [bad]}


def test_refused_files_are_grouped_by_the_delivery_that_lists_them():
    found = look(
        [delivery("p/x", "p/y"), delivery("z", folder="d2")],
        seen("p/x", "quarantined"),
        seen("p/y", "quarantined"),
        seen("z", "quarantined", folder="d2"),
    )
    entries = [refused("x", folder="d1/p"), refused("y", folder="d1/p"), refused("z", folder="d2")]
    assert deliveries.to_announce(entries, found, BY_FOLDER, 0, 300) == {"d1": entries[:2], "d2": entries[2:]}


@given(
    st.lists(st.sampled_from("abcde"), unique=True, min_size=1),
    st.lists(st.sampled_from("abcdef")),
    st.randoms(),
)
def test_the_order_in_which_files_and_manifest_come_does_not_matter(listed, arrived, source):
    objects = [seen(name, version=f"v{n}") for n, name in enumerate(arrived)]
    shuffled = list(objects)
    source.shuffle(shuffled)
    (one,), (other,) = look(delivery(*listed), *objects), look(delivery(*listed), *shuffled)
    assert one == other
    assert one.is_ready == (set(listed) <= set(arrived))
    assert set(counted([one], *map(data, "abcdef"))) == (set(listed) if one.is_ready else set())
