"""What people see of an experiment."""

import io
import re

import pytest
from rich.console import Console

from monitoring.sequential import Interval
from tests.upkeep.experiments.examples import T0, experiment
from upkeep.experiments import picture, view
from upkeep.experiments.figures import Figures, take
from upkeep.experiments.outcomes import Collected, Outcome, Requests


def figures(treated_loss, control_loss, pairs=400, share=(200, 200), **changes):
    """Figures of an experiment in which each version has always the same loss."""
    outcomes = [
        Outcome(
            event=f"{number:04}",
            known_at=T0 + number,
            asked_at=T0 + number,
            treated=bool(number % 2),
            loss=treated_loss if number % 2 else control_loss,
            weight=0.5,
        )
        for number in range(pairs)
    ]
    record = experiment(weights=[{"weight": 0.5, "since": T0}], **changes)
    test, trace = take(record, outcomes)
    spans = [Requests(weight=0.5, treated=share[0], control=share[1])]
    collected = Collected(outcomes=outcomes, requests=spans)
    counts = {"AllTraffic": {"Invocation5XXErrors": 0.0}, "Challenger": {"Invocation5XXErrors": 3.0}}
    return Figures(record=record, collected=collected, test=test, trace=trace, counts=counts)


def shown(found):
    out = io.StringIO()
    view.show(found, Console(file=out, width=200))
    return out.getvalue()


def test_a_worse_version_is_called_so_with_its_numbers():
    found = figures(0.5, 0.2)
    text = shown(found)
    assert "Version 1.1.0 is worse." in text
    assert re.search(r"differs by \+0\.\d+ \(from \+0\.\d+ to \+0\.\d+ with 95% confidence", text)
    assert re.search(r"Challenger +1\.1\.0 +50\.0% +200 +50\.0% +200 +0\.5000 +3", text)
    assert view.advice(found) == "`upkeep experiment stop` ends it."


def test_a_better_version_can_be_promoted():
    assert "--promote" in view.advice(figures(0.2, 0.5))


def test_without_outcomes_it_says_what_is_missing():
    text = shown(figures(0.2, 0.2, pairs=0))
    assert "Not yet known. No outcome is known yet" in text
    assert "┃" not in text


def test_the_outcomes_that_are_needed_are_told_when_it_is_known_what_matters():
    found = figures(0.2, 0.2, pairs=10, minimum_effect=0.02)
    assert found.needed > 10
    assert f"About {found.needed:,} outcomes show a difference of 0.02." in shown(found)


def test_shares_that_are_not_the_weights_are_a_warning():
    assert "do not trust the verdict" in shown(figures(0.2, 0.2, share=(20, 400)))
    assert "do not trust the verdict" not in shown(figures(0.2, 0.2))


@pytest.mark.parametrize(
    ("low", "high", "middle"),
    [(-0.03, 0.01, -0.01), (0.2, 0.4, 0.3), (-1.0, 1.0, None), (-0.002, -0.001, -0.0015)],
)
def test_the_drawing_has_zero_in_its_middle_and_the_interval_around_the_difference(low, high, middle):
    line, ends = view.draw(Interval(low=low, high=high), middle)
    assert line.count("┃") == 1 or line.count("●") == 1
    assert "┣" in line or "┃" in line
    assert ends.split() == ["better", "worse"]
    if middle is not None:
        assert line.index("┣") < line.index("●") < line.index("┫") or low > 0 or high < 0


def test_the_page_is_whole_and_asks_nothing_of_the_network():
    page = picture.render(figures(0.5, 0.2))
    assert page.startswith("<!doctype html>")
    assert "Version 1.1.0 is worse." in page
    assert page.count("<svg") == 1
    assert not re.search(r'(src|href)="|url\(|https?://|<script', page)


def test_the_page_escapes_what_it_was_told():
    assert "<b>" not in picture.render(figures(0.5, 0.2, treatment_version="<b>"))


def test_figures_are_plain_data():
    found = figures(0.5, 0.2).to_json()
    assert (found["verdict"], found["outcomes"], found["variants"]["Challenger"]["mean_loss"]) == (
        "worse",
        400,
        0.5,
    )
    assert found["interval"][0] > 0
    assert found["variants"]["Challenger"]["server_errors"] == 3.0
    assert 0 < found["p_value"] < 0.05
