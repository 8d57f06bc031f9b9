"""Log lines in CloudWatch's embedded metric format."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.embedded_metrics import metrics_in


def _line(**changes: object) -> str:
    directive = {
        "Namespace": "Upkeep",
        "Dimensions": [["Model"]],
        "Metrics": [{"Name": "Gain", "Unit": "None"}],
    }
    return json.dumps(
        {
            "_aws": {"Timestamp": 1_700_000_000_500, "CloudWatchMetrics": [directive]},
            "Model": "flights",
            "Gain": [0.5, 2],
        }
        | changes
    )


def test_a_line_becomes_the_metrics_it_declares():
    assert list(metrics_in(_line())) == [
        (
            "Upkeep",
            [
                {
                    "MetricName": "Gain",
                    "Dimensions": [{"Name": "Model", "Value": "flights"}],
                    "Unit": "None",
                    "Timestamp": 1_700_000_000.5,
                    "Values": [0.5, 2.0],
                    "Counts": [1.0, 1.0],
                }
            ],
        )
    ]


def test_a_metric_the_line_does_not_hold_is_left_out():
    assert [data for _, data in metrics_in(_line(Gain="much"))] == [[]]


def test_a_dimension_the_line_does_not_hold_is_left_out():
    assert [data for _, data in metrics_in(_line(Model=None))] == [[]]


def test_an_ordinary_line_declares_nothing():
    assert list(metrics_in('{"level": "INFO", "message": "see \\"_aws\\""}')) == []


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda c: st.lists(c, max_size=3) | st.dictionaries(st.sampled_from(["Name", "Unit", "a"]), c),
    max_leaves=8,
)


@given(_json, _json, _json)
def test_no_line_breaks_the_reading(metrics, dimensions, value):
    directive = {"Namespace": "Upkeep", "Metrics": metrics, "Dimensions": dimensions}
    aws = {"Timestamp": 1, "CloudWatchMetrics": [directive, metrics]}
    for _namespace, data in metrics_in(json.dumps({"_aws": aws, "a": value})):
        assert isinstance(data, list)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1" + "0" * 400, "[1, NaN]"])
def test_a_number_that_cloudwatch_does_not_take_declares_nothing(number: str) -> None:
    line = _line(Gain="here").replace('"here"', number)
    assert list(metrics_in(line)) == [("Upkeep", [])]


@pytest.mark.parametrize("stamp", ["1" + "0" * 400, "[" * 100_000])
def test_a_time_that_is_none_declares_nothing(stamp: str) -> None:
    assert list(metrics_in(_line().replace("1700000000500", stamp))) == []
