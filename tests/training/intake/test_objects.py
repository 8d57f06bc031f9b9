"""A key that a digest names is written once, and only the version that was looked at is touched."""

import io

import pytest
from botocore.exceptions import ClientError

from tests.training.lambdas import ACCOUNT, DATA
from training.aws import client
from training.intake.objects import GoneError, IncompleteError, Objects, Opened


@pytest.fixture
def objects(store):
    return Objects(client("s3"), DATA, ACCOUNT)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"rows")
    return path


def test_a_key_named_by_its_digest_is_written_once(objects, store, file):
    versions = {objects.put_once("accepted/toy/x", file, "digest", {"rows": "1"}, "x/y") for _ in range(3)}
    found = store.s3.list_object_versions(Bucket=DATA, Prefix="accepted/")["Versions"]
    assert [one["VersionId"] for one in found] == list(versions)
    head = store.s3.head_object(Bucket=DATA, Key="accepted/toy/x")
    assert (head["Metadata"], head["ContentType"]) == ({"rows": "1", "sha256": "digest"}, "x/y")


def test_other_bytes_under_that_key_are_an_error(objects, store, file):
    store.put("accepted/toy/x", "other")
    with pytest.raises(
        ValueError, match=r"accepted/toy/x: found an object with SHA-256 None, expected digest"
    ):
        objects.put_once("accepted/toy/x", file, "digest", {}, "x/y")


def test_two_writers_at_once_wait_for_each_other(objects, file, monkeypatch, clock):
    answers = [ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject")]
    original = objects._s3.put_object

    def put(**arguments):
        if answers:
            raise answers.pop()
        return original(**arguments)

    monkeypatch.setattr(objects._s3, "put_object", put)
    begin = clock.at
    assert objects.put_once("accepted/toy/x", file, "digest", {}, "x/y")
    assert clock.at > begin


def test_the_current_version_is_opened_in_one_call_and_an_older_one_by_its_id(objects, store, tmp_path):
    old, new = store.put("incoming/toy/a", "old"), store.put("incoming/toy/a", "new")
    for version, content in ((old, b"old"), (new, b"new")):
        opened = objects.open("incoming/toy/a", version)
        opened.save(tmp_path / version)
        assert (tmp_path / version).read_bytes() == content
        assert (opened.version_id, opened.size) == (version, 3)


def test_what_is_gone_says_how(objects, store):
    version = store.put("incoming/toy/a", "x")
    store.s3.delete_object(Bucket=DATA, Key="incoming/toy/a")
    with pytest.raises(GoneError, match="its owner deleted the object"):
        objects.open("incoming/toy/a", version)
    with pytest.raises(GoneError, match="not there any more"):
        objects.open("incoming/toy/b", version)
    assert objects.current("incoming/toy/a") is None


def test_an_owner_who_deletes_and_uploads_again_has_two_versions(objects, store):
    old = store.put("incoming/toy/a", "old")
    store.s3.delete_object(Bucket=DATA, Key="incoming/toy/a")
    new = store.put("incoming/toy/a", "new")
    assert objects.open("incoming/toy/a", old).version_id == old
    assert objects.current("incoming/toy/a") == new


def test_a_delete_markers_own_version_is_gone(objects, store):
    store.put("incoming/toy/a", "old")
    marker = store.s3.delete_object(Bucket=DATA, Key="incoming/toy/a")["VersionId"]
    store.put("incoming/toy/a", "new")
    with pytest.raises(GoneError):
        objects.open("incoming/toy/a", marker)


def test_removing_a_version_leaves_the_others_and_can_be_repeated(objects, store):
    old, new = store.put("incoming/toy/a", "old"), store.put("incoming/toy/a", "new")
    for _ in range(2):
        objects.remove("incoming/toy/a", old)
    found = store.s3.list_object_versions(Bucket=DATA)
    assert [one["VersionId"] for one in found["Versions"]] == [new]
    assert "DeleteMarkers" not in found


def test_a_connection_that_breaks_off_is_noticed(tmp_path):
    class Body(io.BytesIO):
        def iter_chunks(self, size):
            yield self.read(size)

    opened = Opened("incoming/toy/a", "v", "e", 10, Body(b"half"))
    with pytest.raises(IncompleteError, match="incoming/toy/a: 4 of 10 bytes came"):
        opened.save(tmp_path / "x")
