"""Metrics are written so that an alarm finds them."""

import json

from monitoring import metrics


def test_every_metric_has_a_unit_and_the_two_dimensions(capsys, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "would be a third one")
    metrics.emit("upkeep-dev", "flights", dict.fromkeys(metrics.UNITS, 1.0))
    found = json.loads(capsys.readouterr().out)
    (group,) = found["_aws"]["CloudWatchMetrics"]
    assert group["Namespace"] == "Upkeep"
    assert group["Dimensions"] == [["Stack", "Model"]]
    assert {m["Name"]: m["Unit"] for m in group["Metrics"]} == metrics.UNITS
    assert (found["Stack"], found["Model"]) == ("upkeep-dev", "flights")
