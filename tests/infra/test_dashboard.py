import json
from typing import Any

from infra.dashboard import WIDTH
from tests.infra.mocks import standard

BODY: dict[str, Any] = json.loads(standard().one("Dashboard")["dashboardBody"])


def test_widgets_lie_side_by_side_and_never_on_one_another() -> None:
    taken: set[tuple[int, int]] = set()
    for widget in BODY["widgets"]:
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < WIDTH
        taken |= cells


def test_every_alarm_is_shown() -> None:
    (widget,) = [w for w in BODY["widgets"] if w["type"] == "alarm"]
    assert len(widget["properties"]["alarms"]) == len(standard().of("MetricAlarm"))


def test_the_text_says_where_files_go_and_links_to_the_runs() -> None:
    (widget,) = [w for w in BODY["widgets"] if w["type"] == "text"]
    text = widget["properties"]["markdown"]
    assert "/incoming/<model>/" in text
    for machine in standard().of("aws:sfn/stateMachine:StateMachine"):
        assert machine["name"] in text


def test_every_metric_names_its_region_period_and_dimensions() -> None:
    for widget in (w for w in BODY["widgets"] if w["type"] == "metric"):
        properties = widget["properties"]
        assert properties["region"]
        assert properties["period"] == 300
        for line in properties["metrics"]:
            assert len(line) >= 5, f"{properties['title']}: a metric without dimensions"
            assert isinstance(line[-1], dict)


def test_each_model_has_a_row_of_its_data_and_one_of_its_serving() -> None:
    titles = [w["properties"].get("title", "") for w in BODY["widgets"]]
    assert len([t for t in titles if t.startswith("flights: ")]) == 8


def test_rows_refusals_held_trainings_and_spend_are_shown() -> None:
    shown = {
        line[1] for w in BODY["widgets"] for line in w["properties"].get("metrics", []) if line[0] == "Upkeep"
    }
    assert shown >= {
        *("RowsAccepted", "RowsDropped", "DeliveriesQuarantined", "DeliveriesOverdue", "TrainingsHeld"),
        "TrainingSpend",
    }


def test_every_queue_is_shown_with_its_dead_letters() -> None:
    (widget,) = [w for w in BODY["widgets"] if w["properties"].get("title") == "Queues"]
    names = [line[3] for line in widget["properties"]["metrics"]]
    assert names == [f"upkeep-test-{n}" for n in ("intake", "intake-dead", "dispatch", "dispatch-dead")]
