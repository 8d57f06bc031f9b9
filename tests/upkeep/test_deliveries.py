import json
import re
from pathlib import Path

import pytest

from tests.upkeep.stand import flights
from training.intake import manifests
from upkeep import deliveries
from upkeep.errors import UpkeepError


@pytest.fixture
def folder(tmp_path):
    """A folder as Spark writes it."""
    above = tmp_path / "2013"
    for name in ("01/part-0.csv", "02/part-0.csv", "_SUCCESS", "_temporary/x.csv", ".hidden", "01/.part.crc"):
        path = above / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(flights(4) if name.endswith(".csv") else "")
    return above


def planned(stand, *paths, **options):
    return deliveries.plan(stand.model, [Path(path) for path in paths], stand.ledger, **options)


def keys(delivery):
    return [upload.key for upload in delivery.uploads]


def test_one_file_lies_directly_below_the_model(stand, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x")
    found = planned(stand, path)
    assert (keys(found), found.folder, found.manifest_key) == (["incoming/flights/a.csv"], "", "")


def test_a_folder_is_pushed_with_the_places_of_its_files_and_without_what_is_no_data(stand, folder):
    found = planned(stand, folder)
    assert keys(found) == ["incoming/flights/2013/01/part-0.csv", "incoming/flights/2013/02/part-0.csv"]
    assert [upload.name for upload in found.uploads] == ["01/part-0.csv", "02/part-0.csv"]


def test_a_name_may_be_given_to_the_delivery(stand, folder):
    assert keys(planned(stand, folder, name="year=2013"))[0] == "incoming/flights/year=2013/01/part-0.csv"


def test_with_a_manifest_the_same_contents_are_the_same_delivery(stand, folder):
    first, again = planned(stand, folder, manifest=True), planned(stand, folder, manifest=True)
    assert first.folder == again.folder
    assert re.fullmatch(r"2013-[0-9a-f]{8}", first.folder)
    (folder / "01/part-0.csv").write_text("other")
    assert planned(stand, folder, manifest=True).folder != first.folder


def test_files_with_a_manifest_get_a_folder_of_their_own(stand, folder):
    found = planned(stand, folder / "01/part-0.csv", manifest=True)
    assert found.manifest_key == f"incoming/flights/{found.folder}/_MANIFEST.json"
    assert found.folder.startswith("delivery-")


def test_the_manifest_is_one_the_intake_can_read(stand, folder):
    found = planned(stand, folder, manifest=True)
    deliveries.complete(stand.context, found)
    read = manifests.read(stand.body(found.manifest_key))
    assert read == json.loads(stand.body(found.manifest_key))["files"]
    assert [(one["name"], one["sha256"]) for one in read] == [(u.name, u.sha256) for u in found.uploads]


def test_without_a_manifest_nothing_completes_the_delivery(stand, folder):
    deliveries.complete(stand.context, planned(stand, folder))
    assert stand.keys() == []


def test_all_problems_are_named_and_nothing_is_planned(stand, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csv").write_text("x")
    with pytest.raises(UpkeepError, match=r"Nothing was pushed. .*gone.csv: no such file; a.csv: named"):
        planned(stand, tmp_path / "one/a.csv", tmp_path / "two/a.csv", tmp_path / "gone.csv")


def test_a_folder_without_data_is_named(stand, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UpkeepError, match=r"no file in .*empty"):
        planned(stand, tmp_path / "empty")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".x", "x" * 101])
def test_a_delivery_is_named_by_one_safe_word(stand, folder, name):
    with pytest.raises(UpkeepError, match="--delivery: found"):
        planned(stand, folder, name=name)


def test_a_manifest_of_ones_own_and_ours_are_one_too_many(stand, tmp_path):
    path = tmp_path / "_MANIFEST.json"
    path.write_text("{}")
    with pytest.raises(UpkeepError, match="is written by --manifest"):
        planned(stand, path, manifest=True)


def test_bytes_accepted_before_are_known(stand, tmp_path):
    stand.arrive("before.csv", flights(4))
    for name, text in (("same.csv", flights(4)), ("new.csv", flights(5))):
        (tmp_path / name).write_text(text)
    found = planned(stand, tmp_path / "same.csv", tmp_path / "new.csv")
    assert [upload.known for upload in found.uploads] == [True, False]
