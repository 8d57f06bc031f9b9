"""What a job left in S3 is read within limits and refused with a reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.examples import tar_bytes
from training import outputs
from training.outputs import OutputError, document, output_uri, split_uri


def test_a_document_is_found_with_and_without_the_leading_dot():
    for name in ("evaluation.json", "./evaluation.json"):
        assert document(tar_bytes({name: b'{"a": 1}'}), "evaluation.json", "here") == {"a": 1}


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (b"", "here: evaluation.json cannot be read"),
        (b"no archive", "here: evaluation.json cannot be read"),
        (tar_bytes({}), "here: holds no evaluation.json"),
        (tar_bytes({"../evaluation.json": b"{}"}), "here: holds no evaluation.json"),
        (tar_bytes({"evaluation.json": b"{"}), "cannot be read"),
        (tar_bytes({"evaluation.json": b"[]"}), "found a list, expected an object"),
        (tar_bytes({"evaluation.json": b"{}"})[:-30], "cannot be read"),
    ],
    # An archive holds the time it was made, and a name made of it would differ between test processes.
    ids=["empty", "no archive", "without files", "outside", "half a document", "a list", "cut short"],
)
def test_unusable_archives_are_refused(archive, message):
    with pytest.raises(OutputError) as caught:
        document(archive, "evaluation.json", "here")
    assert message in str(caught.value)


def test_a_document_beyond_the_limit_is_not_read(monkeypatch):
    monkeypatch.setattr(outputs, "MAX_DOCUMENT_BYTES", 10)
    with pytest.raises(OutputError, match=r"evaluation\.json has 20 bytes, at most 10"):
        document(tar_bytes({"evaluation.json": json.dumps("x" * 18).encode()}), "evaluation.json", "here")


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(content):
    with pytest.raises(OutputError):
        document(content, "evaluation.json", "here")


def test_uris():
    assert split_uri("s3://bucket/a/b.tar.gz") == ("bucket", "a/b.tar.gz")
    assert output_uri("s3://bucket/job/output/model.tar.gz") == "s3://bucket/job/output/output.tar.gz"
    for wrong in ("bucket/key", "https://bucket/key", "s3://bucket", "s3:///key", ""):
        with pytest.raises(OutputError, match="expected s3://bucket/key"):
            split_uri(wrong)
