"""A release goes ahead only with the bytes that were registered."""

import io
import json
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError, ResponseStreamingError
from hypothesis import given
from hypothesis import strategies as st

from tests.training.registry.examples import sha256
from training.registry import passport
from training.registry.passport import PassportError

ARTIFACTS, DATA, OWNER = "artifacts", "data", "123456789012"
MODEL = "training/toy/job/output/model.tar.gz"
MODEL_URL = f"s3://{ARTIFACTS}/{MODEL}"


class Buckets:
    """S3 with the newest version of a few objects."""

    class exceptions:  # noqa: N801 - boto3's own spelling
        ClientError = ClientError

    def __init__(self):
        artifact, manifest = bytes(range(256)) * 3, b'[{"prefix": "s3://data/"}, "accepted/toy/a.csv"]'
        about = {
            "run_id": "r1",
            "version": "1.0.1",
            "decision": "promote",
            "artifact_sha256": sha256(artifact),
            "passport_sha256": "4" * 64,
            "model_digest": "5" * 64,
            "manifest_uri": f"s3://{DATA}/manifests/toy/r1.json",
            "manifest_sha256": sha256(manifest),
            "model_data_url": MODEL_URL,
        }
        self.objects = {
            (ARTIFACTS, MODEL): artifact,
            (DATA, "manifests/toy/r1.json"): manifest,
            (ARTIFACTS, "decisions/toy/r1.json"): json.dumps(about).encode(),
        }
        decision = self.objects[ARTIFACTS, "decisions/toy/r1.json"]
        self.metadata = {name: value for name, value in about.items() if name != "model_data_url"} | {
            "decision_uri": f"s3://{ARTIFACTS}/decisions/toy/r1.json",
            "decision_sha256": sha256(decision),
            "artifact_version_id": "v1",
        }
        self.read = []

    def get_object(self, Bucket, Key, ExpectedBucketOwner):  # noqa: N803 - boto3's own spelling
        assert ExpectedBucketOwner == OWNER
        self.read.append(Key)
        if (Bucket, Key) not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Bucket, Key]), "VersionId": "v2"}

    def verify(self, metadata=None, **changes):
        where = {"model_data_url": MODEL_URL, "artifacts_bucket": ARTIFACTS, "data_bucket": DATA}
        passport.verify(self, metadata or self.metadata, **{**where, "owner": OWNER, **changes})


@pytest.fixture
def buckets():
    return Buckets()


def test_what_was_registered_passes_also_from_another_version_of_the_object(buckets):
    buckets.verify()
    assert len(buckets.read) == 3


@given(data=st.data())
def test_one_changed_byte_in_any_of_the_three_is_refused_and_named(data):
    buckets = Buckets()
    place = data.draw(st.sampled_from(sorted(buckets.objects)))
    body = bytearray(buckets.objects[place])
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    buckets.objects[place] = bytes(body)
    what = {"training": "artifact", "manifests": "manifest", "decisions": "decision"}
    with pytest.raises(PassportError, match=rf"^{what[place[1].partition('/')[0]]} s3://.*: found SHA-256"):
        buckets.verify()


@given(data=st.data())
def test_a_byte_more_or_less_is_refused(data):
    buckets = Buckets()
    place = data.draw(st.sampled_from(sorted(buckets.objects)))
    body = buckets.objects[place]
    at = data.draw(st.integers(0, len(body) - 1))
    buckets.objects[place] = data.draw(
        st.sampled_from([body[:at], body + b" ", body[:at] + b" " + body[at:]])
    )
    with pytest.raises(PassportError, match="found SHA-256"):
        buckets.verify()


def test_the_words_tell_which_version_of_the_object_was_registered(buckets):
    buckets.objects[ARTIFACTS, MODEL] = b"other"
    with pytest.raises(PassportError, match=r"object version v2, registered was v1"):
        buckets.verify()


@pytest.mark.parametrize("index", range(3))
def test_what_is_gone_is_named(buckets, index):
    place = sorted(buckets.objects)[index]
    del buckets.objects[place]
    with pytest.raises(PassportError, match=f"s3://{place[0]}/{place[1]}: no such object"):
        buckets.verify()


@pytest.mark.parametrize("name", passport._REQUIRED)
@pytest.mark.parametrize("value", [None, "", "none"])
def test_a_package_that_lacks_a_part_of_the_passport_is_refused(buckets, name, value):
    metadata = {key: found for key, found in buckets.metadata.items() if key != name}
    with pytest.raises(PassportError, match=f"holds no {name}"):
        buckets.verify(metadata | ({name: value} if value is not None else {}))
    assert buckets.read == []


@pytest.mark.parametrize("name", ["run_id", "version", "decision", "passport_sha256", "model_digest"])
def test_a_package_that_disagrees_with_its_decision_is_refused(buckets, name):
    with pytest.raises(PassportError, match=f"decision .*: {name} is .*, the package says other"):
        buckets.verify(buckets.metadata | {name: "other"})


def test_another_artifact_than_the_decision_is_about_is_refused(buckets):
    buckets.objects[ARTIFACTS, "other/model.tar.gz"] = buckets.objects[ARTIFACTS, MODEL]
    with pytest.raises(PassportError, match="about s3://artifacts/training"):
        buckets.verify(model_data_url="s3://artifacts/other/model.tar.gz")


@pytest.mark.parametrize("name", ["manifest_uri", "decision_uri"])
@pytest.mark.parametrize("uri", ["s3://elsewhere/x", "https://elsewhere/x"])
def test_nothing_is_read_from_another_bucket(buckets, name, uri):
    with pytest.raises(PassportError):
        buckets.verify(buckets.metadata | {name: uri})
    with pytest.raises(PassportError):
        buckets.verify(model_data_url=uri)
    assert not [key for key in buckets.read if key == "x"]


def test_a_registered_decision_that_is_no_decision_is_refused(buckets):
    buckets.objects[ARTIFACTS, "decisions/toy/r1.json"] = b"[]"
    with pytest.raises(PassportError, match="is no decision"):
        buckets.verify(buckets.metadata | {"decision_sha256": sha256(b"[]")})


def test_a_stream_that_breaks_off_is_read_again_from_its_beginning(buckets, clock):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            if not super().read(10):
                return b""
            raise ResponseStreamingError(error="gone")

    whole, breaks = buckets.get_object, [1, 1]

    def get_object(**asked):
        answer = whole(**asked)
        return answer | {"Body": Broken(b"x" * 99)} if breaks and breaks.pop() else answer

    buckets.get_object = get_object
    found = passport.sha256_of(buckets, MODEL_URL, bucket=ARTIFACTS, owner=OWNER)
    assert found == (buckets.metadata["artifact_sha256"], "v2")
    breaks += [1, 1, 1]
    with pytest.raises(ResponseStreamingError):
        passport.sha256_of(buckets, MODEL_URL, bucket=ARTIFACTS, owner=OWNER)


def test_other_refusals_of_s3_are_not_taken_for_tampering(buckets):
    def refuse(**_):
        raise ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")

    slow = SimpleNamespace(get_object=refuse, exceptions=Buckets.exceptions)
    with pytest.raises(ClientError):
        passport.sha256_of(slow, MODEL_URL, bucket=ARTIFACTS, owner=OWNER)


def test_the_container_is_told_only_what_is_known(buckets):
    assert passport.container_environment(buckets.metadata) == {
        "UPKEEP_PASSPORT_SHA256": "4" * 64,
        "UPKEEP_MODEL_VERSION": "1.0.1",
    }
    assert passport.container_environment({"version": "none"}) == {}
