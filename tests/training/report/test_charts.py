"""Charts put every number where it belongs, within the drawing."""

import re
from datetime import date
from itertools import pairwise

import pytest

from tests.training.report.examples import Page
from training.report import charts, intervals, svg
from training.report.intervals import Interval
from training.report.numbers import Axis
from training.report.svg import Series


def _coordinates(drawing):
    return [float(n) for n in re.findall(r'\b(?:x|x1|x2|cx)="([-\d.]+)"', drawing)]


def _size(drawing):
    return tuple(map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing).groups()))


def test_a_histogram_has_the_area_of_its_shares():
    drawn = charts.histogram("t", "", [("rows", "one", [0.0, 1.0, 2.0], [0.25, 0.75])], x_label="x")
    outline = re.search(r'd="M([^"]*)Z" class="area one"', drawn)[1]
    points = [tuple(map(float, pair.split(","))) for pair in outline.split()]
    base = points[0][1]
    heights = [base - points[1][1], base - points[3][1]]
    assert heights[1] / heights[0] == pytest.approx(3, rel=0.01)
    assert points[-1][1] == base


def test_histograms_of_other_bins_can_be_compared():
    """The same spread in bins half as wide has the same height."""
    series = [
        ("a", "challenger", [0.0, 1.0, 2.0], [0.5, 0.5]),
        ("b", "champion", [0.0, 0.5, 1.0, 1.5, 2.0], [0.25] * 4),
    ]
    drawn = charts.histogram("t", "", series, x_label="x")
    tops = {
        look: {
            pair.split(",")[1] for pair in re.search(rf'd="M([^"]*)" class="curve {look}"', drawn)[1].split()
        }
        for look in ("challenger", "champion")
    }
    assert tops["challenger"] == tops["champion"]


def test_the_line_of_equal_values_goes_through_the_dots_that_are_equal():
    drawn = charts.dots("t", "", [(1.0, 1.0), (4.0, 4.0), (0.0, 5.0)], x_label="p", y_label="a")
    reference = re.search(r'd="M([^"]*)" class="reference"', drawn)[1]
    (x1, y1), (x2, y2) = [tuple(map(float, place.split(","))) for place in reference.split()]
    dots = [tuple(map(float, p.split(","))) for p in re.findall(r"M([\d.]+,[\d.]+)h0", drawn)]
    for x, y in dots[:2]:
        assert (y - y1) / (y2 - y1) == pytest.approx((x - x1) / (x2 - x1), abs=0.002)


def test_reliability_dots_grow_with_their_rows():
    series = [Series("challenger", [(0.1, 0.1), (0.6, 0.7)], "challenger", "", [900.0, 100.0])]
    large, small = map(float, re.findall(r' r="([\d.]+)"', charts.reliability("t", "", series)))
    assert large == pytest.approx(3 * small, abs=0.05)


def test_days_without_rows_are_gaps():
    found = {date(2024, 1, 1): 10, date(2024, 1, 2): 20, date(2024, 1, 5): 5}
    drawn = charts.days("t", found)
    places = [float(x) for x in re.findall(r'<rect x="([\d.]+)"', drawn)]
    steps = [b - a for a, b in pairwise(places)]
    assert steps[1] == pytest.approx(3 * steps[0], rel=0.01)
    assert re.findall(r">(\d{4}-\d\d-\d\d)<", drawn) == ["2024-01-01", "2024-01-05"]
    assert "35 rows on 3 days" in drawn


def test_a_bar_shows_number_interval_and_limit_in_their_order():
    on = intervals.common([Interval.around(0.02, 0.01)], 0.05)
    drawn = intervals.bar("t", Interval.around(0.02, 0.01), on, "bad", 0.05)
    low, high = map(
        float, re.search(r'x1="([\d.]+)"[^>]* x2="([\d.]+)"[^>]*class="reach bad"', drawn).groups()
    )
    value = float(re.search(r'cx="([\d.]+)"', drawn)[1])
    zero = float(re.search(r'x1="([\d.]+)"[^>]*class="zeroline"', drawn)[1])
    limit = float(re.search(r'x1="([\d.]+)"[^>]*class="limit"', drawn)[1])
    assert zero < low < value < high < limit
    assert (value - zero) / (limit - zero) == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("value", [0.0, 1e-9, -3.5, 1e8])
@pytest.mark.parametrize("reach", [None, 0.0, 2.0, 1e9])
def test_no_gain_leaves_the_drawing(value, reach):
    drawn = intervals.gain("t", "w", Interval.around(value, reach), 0.002, "good", unsure=reach is not None)
    Page(drawn)
    width, _ = _size(drawn)
    assert all(0 <= x <= width for x in _coordinates(drawn))


def test_a_legend_that_is_too_long_for_one_row_takes_two():
    rows = svg.legend_rows([("a" * 30, "one"), ("b" * 30, "zero")], 360)
    assert [len(row) for row in rows] == [1, 1]
    assert len(svg.legend_rows([("a", "one"), ("b", "zero")], 360)) == 1


def test_a_long_name_keeps_its_ends():
    assert svg.cut("departure_minute_of_the_day", 12) == "departu…_day"
    assert svg.cut("short", 12) == "short"


def test_every_drawing_tells_what_it_is_to_those_who_cannot_see_it():
    drawn = charts.lines(
        "A title", "What is seen.", [Series("a", [(0, 0), (1, 1)], "one")], x_label="x", y_label="y"
    )
    assert 'role="img"' in drawn
    assert "<title>A title</title><desc>What is seen.</desc>" in drawn
    tick = Axis(0.0, 1.0, 0.2)
    assert [tick.label(t) for t in tick.ticks] == ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
