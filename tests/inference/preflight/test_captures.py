"""The newest answered requests are found, with few calls."""

from __future__ import annotations

import base64

import pytest

from inference.preflight import captures
from inference.preflight.recorded import Recorded
from tests.inference.preflight.fakes import OWNER, FakeS3, captured

PREFIX = "capture/toy/upkeep-t-toy/AllTraffic/"


def newest(s3: FakeS3, count: int) -> list[bytes]:
    return [request.body for request in captures.newest(s3, "data", PREFIX, count, OWNER)]


def record(s3: FakeS3, hour: str, name: str, *lines: str) -> None:
    s3.put("data", f"{PREFIX}{hour}/{name}.jsonl", "\n".join(lines) + "\n")


@pytest.fixture
def s3() -> FakeS3:
    s3 = FakeS3()
    record(s3, "2026/11/20/09", "a", captured("old"))
    record(s3, "2026/11/21/09", "b", captured("1"), captured("2"))
    record(s3, "2026/11/21/09", "a", captured("3"), captured("4"))
    record(s3, "2025/12/31/23", "a", captured("ancient"))
    return s3


def test_the_newest_come_from_the_newest_hour_and_the_end_of_its_newest_file(s3: FakeS3) -> None:
    assert newest(s3, 3) == [b"2", b"3", b"4"]


def test_earlier_hours_are_taken_when_the_newest_has_too_few(s3: FakeS3) -> None:
    assert newest(s3, 100) == [b"ancient", b"old", b"1", b"2", b"3", b"4"]


def test_few_calls_find_them_however_long_ago_they_were(s3: FakeS3) -> None:
    newest(s3, 2)
    assert s3.calls == ["ListObjectsV2"] * 5 + ["GetObject"]


def test_without_any_or_when_none_are_wanted_nothing_is_found(s3: FakeS3) -> None:
    assert newest(FakeS3(), 10) == []
    assert newest(s3, 0) == []


def test_hours_without_a_usable_line_end_the_search_after_a_bounded_number_of_calls() -> None:
    s3 = FakeS3()
    for day in range(1, 29):
        for hour in range(24):
            record(s3, f"2026/10/{day:02}/{hour:02}", "a", "no json")
    assert newest(s3, 10) == []
    assert len(s3.calls) <= captures.MAX_LISTINGS + captures.MAX_FILES


def test_of_a_large_file_only_the_end_is_read(s3: FakeS3, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [captured(f"{number:04}") for number in range(50)]
    monkeypatch.setattr(captures, "MAX_FILE_BYTES", 5 * len(lines[0]))
    record(s3, "2026/11/21/10", "a", *lines)
    assert newest(s3, 4) == [b"0046", b"0047", b"0048", b"0049"]
    assert s3.ranges == [f"bytes=-{5 * len(lines[0])}"]


def test_a_refused_request_is_left_out() -> None:
    assert captures.read(captured("x", '{"error": "no such column", "status": 400}').encode()) is None


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"captureData": {"endpointOutput": {}}}', b"\xff"])
def test_a_line_without_a_request_is_left_out(line: bytes) -> None:
    assert captures.read(line) is None


def test_a_request_is_read_with_its_type_and_what_was_answered() -> None:
    line = captured("1,2", "0.5,1", "text/csv", encoding="CSV").encode()
    assert captures.read(line) == Recorded(b"1,2", "text/csv", "application/json", "2026-11-21T10:00:00Z")


def test_base64_is_decoded_and_an_answer_that_was_not_recorded_is_taken_for_good() -> None:
    line = captured(base64.b64encode(b"\xff\x00").decode(), None, "application/x-parquet", encoding="BASE64")
    assert captures.read(line.encode()) == Recorded(
        b"\xff\x00", "application/x-parquet", "application/json", "2026-11-21T10:00:00Z"
    )


@pytest.mark.parametrize("body", [b'{"a": "\xc3\xa9"}', b"\xff\xfe", b""])
def test_a_request_survives_its_way_through_the_file(body: bytes) -> None:
    request = Recorded(body, "text/csv; header=present", "text/csv", "2026")
    assert Recorded.read(request.line()) == request


@pytest.mark.parametrize("line", ["{}", "[]", '{"body": 1}', "x"])
def test_another_line_is_no_request(line: str) -> None:
    with pytest.raises(ValueError, match=r"request|Expecting"):
        Recorded.read(line)
