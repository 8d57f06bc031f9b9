"""What MiniStack's CloudWatch Logs leaves out."""

import time

import pytest

pytestmark = pytest.mark.sandbox


def test_log_events_are_looked_up_in_the_streams_whose_names_begin_so(aws):
    logs, group = aws("logs"), "/test/prefix"
    logs.create_log_group(logGroupName=group)
    for stream in ("run-1/a", "run-2/a"):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": int(time.time() * 1000), "message": stream}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])

    def said(prefix: str) -> list[str]:
        found = logs.filter_log_events(logGroupName=group, logStreamNamePrefix=prefix)
        return [event["message"] for event in found["events"]]

    assert said("run-2") == ["run-2/a"]
    assert said("run-") == ["run-1/a", "run-2/a"]
    assert said("run-3") == []
