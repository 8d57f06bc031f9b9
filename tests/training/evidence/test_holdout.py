"""Which rows were held out is told by day."""

import numpy as np

from training.evidence.holdout import describe


def test_rows_are_counted_by_day():
    times = np.array(["2013-01-27T23:59", "2013-01-27T23:59:30", "2013-01-29T00:00"], dtype="datetime64[us]")
    assert describe(times) == {
        "from": "2013-01-27T23:59:00",
        "to": "2013-01-29T00:00:00",
        "rows": 3,
        "days": {"2013-01-27": 2, "2013-01-29": 1},
    }
