"""Parts rows by time: those of the window, those to fit on, and the newest ones to compare two models on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.spec import Training
from training.errors import TrainingError


@dataclass(frozen=True)
class Split:
    """Rows before ``start`` are fitted on, rows from it on are held out.

    Attributes:
        start: Position of the first row held out.
        note: Why the champion cannot be compared on the rows held out; empty when it can.
    """

    start: int
    note: str = ""


def window_start(times: np.ndarray, rules: Training) -> int:
    """Position of the first row in the training window; the rows before it are left out.

    Of a number of rows exactly so many are left, also when the oldest of them share their time with others;
    of a number of days the rows later than so many days before the newest row.

    Args:
        times: Ascending times of all rows, each distinct row once.
        rules: Says what the window is.
    """
    if rules.window_rows is not None:
        return max(0, len(times) - rules.window_rows)
    if rules.window_days is not None:
        ends = times[-1] - np.timedelta64(rules.window_days, "D")
        return int(np.searchsorted(times, ends, side="right"))
    return 0


def split(times: np.ndarray, rules: Training, champion_fitted_until: np.datetime64 | None) -> Split:
    """Choose the newest rows that neither model was fitted on.

    Rows of one instant stay together. When the newest share begins before the champion's last fitted row, it
    is cut to the rows after that one, so that the champion is not scored on rows it knows; when too few are
    left, the whole share is held out for the challenger alone and the note says so.

    Args:
        times: Ascending times of all rows.
        rules: Share and least number of rows to hold out.
        champion_fitted_until: Time of the newest row the champion was fitted on.

    Raises:
        TrainingError: The rows are all of one instant, so that nothing is older than the holdout.
    """
    share = _start_of_share(times, rules.holdout_share)
    if champion_fitted_until is None:
        return Split(share, _too_few(len(times) - share, rules))
    fresh = int(np.searchsorted(times, champion_fitted_until, side="right"))
    start = max(share, fresh)
    note = _too_few(len(times) - start, rules, champion_fitted_until)
    return Split(share if note else start, note)


def _start_of_share(times: np.ndarray, share: float) -> int:
    target = len(times) - max(1, round(len(times) * share))
    start = int(np.searchsorted(times, times[target], side="left"))
    if start == 0:  # one instant fills the share and more: begin after it
        start = int(np.searchsorted(times, times[target], side="right"))
    if start in (0, len(times)):
        have = f"all {len(times):,} rows have" if len(times) > 1 else "the only row has"
        raise TrainingError(
            f"{have} the time {times[0]}; older rows to fit on and newer ones to evaluate on are needed"
        )
    return start


def _too_few(rows: int, rules: Training, until: np.datetime64 | None = None) -> str:
    if rows >= rules.holdout_min_rows:
        return ""
    since = f" newer than the champion's last fitted row ({until})" if until is not None else ""
    return (
        f"only {rows:,} rows{since} to compare on, at least {rules.holdout_min_rows:,} are needed "
        "(training.holdout_min_rows)"
    )
