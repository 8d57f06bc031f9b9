"""Whether a model is trained now: a pure function from what is known to a decision.

Nothing here asks for the time, reads or writes; the same view at the same time gives the same decision. In
this order: what is being trained ends first; what was trained on is not trained on again; a delivery that
still arrives is waited for; and then the limits of the spec's ``triggers`` hold back what nobody forced.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from models.spec import Triggers
from training.ledger.records import FAILED, RELEASING, RUNNING, STARTING, SUCCEEDED, RunRecord

# Trainings of one data version before it is given up; a person can force one more.
MAX_ATTEMPTS = 3
# Files that never stop arriving are trained on all the same, after so many quiet periods.
MAX_QUIET_PERIODS = 10
DAY_SECONDS = 24 * 3600
UNDER_WAY = (STARTING, RUNNING, RELEASING)

COOLDOWN, MAX_PER_DAY, MAX_USD_PER_MONTH, ATTEMPTS = (
    "cooldown",
    "max_per_day",
    "max_usd_per_month",
    "attempts",
)
BY_DATA, BY_PERSON, BY_RETRY = "data", "person", "retry"


@dataclass(frozen=True, kw_only=True)
class View:
    """What is decided on.

    Attributes:
        triggers: Limits of the spec.
        wanted: Newest data version; None when there is no data besides the seed.
        runs: All runs of the model, in any order.
        worst_usd: What one more run can cost at most.
        last_arrival: When something last arrived, seconds since 1970; 0 for never.
        waiting_since: When the oldest data that no run has read was accepted; None when there is none.
        forced: Whether a person wants a training now.
    """

    triggers: Triggers
    wanted: str | None
    runs: Sequence[RunRecord] = ()
    worst_usd: float = 0
    last_arrival: float = 0
    waiting_since: float | None = None
    forced: bool = False


@dataclass(frozen=True)
class Nothing:
    """There is nothing to train."""

    reason: str


@dataclass(frozen=True)
class Wait:
    """Something has to end first; ``until`` is None when an event tells of it."""

    reason: str
    until: float | None = None


@dataclass(frozen=True)
class Hold:
    """A limit holds the training back; ``until`` is None when only a person can let it go on."""

    rule: str
    reason: str
    until: float | None = None

    @property
    def is_announced(self) -> bool:
        """Whether people are told: a cool-down is daily business, the other limits are not."""
        return self.rule != COOLDOWN


@dataclass(frozen=True)
class Start:
    """Train now."""

    data_version: str
    attempt: int
    trigger: str

    @property
    def reason(self) -> str:
        """For the log."""
        return f"attempt {self.attempt} on data version {self.data_version}"


Decision = Nothing | Wait | Hold | Start


def decide(view: View, now: float) -> Decision:
    """What to do about one model.

    Args:
        view: All that is known.
        now: Seconds since 1970.
    """
    busy = under_way(view.runs)
    if busy:
        return busy
    if view.wanted is None:
        return Nothing("there is no data besides what the first model was trained on")
    trained = _trained(view, view.wanted)
    if trained:
        return trained
    if not view.forced:
        return _arriving(view, now) or _held(view, view.wanted, now) or _start(view, view.wanted)
    return _start(view, view.wanted)


def under_way(runs: Sequence[RunRecord]) -> Wait | None:
    """The wait for a run that has not ended; no two runs of a model go on at a time."""
    for run in runs:
        if run.state in UNDER_WAY:
            what = "the release of run" if run.state == RELEASING else "run"
            return Wait(f"{what} {run.run_id} is under way")
    return None


def month_start(now: float) -> float:
    """When the calendar month (UTC) began, seconds since 1970."""
    today = datetime.fromtimestamp(now, UTC)
    return today.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()


def next_month(now: float) -> float:
    """When the next calendar month (UTC) begins, seconds since 1970."""
    # The first of a month and 32 days lie in the next one, whatever its length.
    return month_start(month_start(now) + 32 * DAY_SECONDS)


def spent(runs: Sequence[RunRecord], now: float) -> float:
    """What the runs started in this calendar month (UTC) did cost, or can cost while that is not known."""
    since, before = month_start(now), next_month(now)
    this_month = [run for run in runs if since <= run.started_at < before]
    return sum(run.worst_usd if run.usd is None else run.usd for run in this_month)


def attempts(runs: Sequence[RunRecord], data_version: str) -> int:
    """How often a data version was tried."""
    return max((run.attempt for run in runs if run.data_version == data_version), default=0)


def _trained(view: View, wanted: str) -> Nothing | None:
    succeeded = [run for run in view.runs if run.state == SUCCEEDED]
    mine = [run for run in succeeded if run.data_version == wanted]
    if not mine:
        return None
    latest = max(succeeded, key=lambda run: run.started_at)
    if view.forced and latest.data_version != wanted:
        return None  # a person may go back to what was trained on before the last model
    return Nothing(f"data version {wanted} was trained on by run {mine[0].run_id}")


def _arriving(view: View, now: float) -> Wait | None:
    if view.triggers.delivery == "manifest":
        return None  # only complete deliveries are part of what is wanted
    quiet = view.triggers.quiet_seconds
    until = view.last_arrival + quiet
    if view.waiting_since is not None:
        until = min(until, view.waiting_since + MAX_QUIET_PERIODS * quiet)
    if now >= until:
        return None
    return Wait("files are still arriving", until)


def _held(view: View, wanted: str, now: float) -> Hold | None:
    """The limit that holds longest: when one ends, the next must not come as a surprise."""
    limits = (
        _given_up(view, wanted),
        _too_expensive(view, now),
        _too_many(view, now),
        _too_soon(view, now),
    )
    holds = [hold for hold in limits if hold]
    return max(holds, key=lambda hold: math.inf if hold.until is None else hold.until, default=None)


def _given_up(view: View, wanted: str) -> Hold | None:
    failed = sum(run.data_version == wanted and run.state == FAILED for run in view.runs)
    if failed < MAX_ATTEMPTS:
        return None
    return Hold(ATTEMPTS, f"{failed} runs on data version {wanted} have failed, so it is given up")


def _too_expensive(view: View, now: float) -> Hold | None:
    most, before = view.triggers.max_usd_per_month, spent(view.runs, now)
    if before + view.worst_usd <= most:
        return None
    if view.worst_usd > most:
        reason = (
            f"one run may cost {view.worst_usd:.2f} USD, which is above the ceiling of {most:.2f} a month"
        )
        return Hold(MAX_USD_PER_MONTH, reason)
    reason = (
        f"{before:.2f} USD were spent this month (UTC) and one more run may cost {view.worst_usd:.2f}, "
        f"which is above the ceiling of {most:.2f}"
    )
    return Hold(MAX_USD_PER_MONTH, reason, next_month(now))


def _too_many(view: View, now: float) -> Hold | None:
    most = view.triggers.max_per_day
    last_day = sorted(run.started_at for run in view.runs if now < run.started_at + DAY_SECONDS)
    if len(last_day) < most:
        return None
    reason = f"{len(last_day)} runs were started in the last 24 hours, {most} are allowed"
    return Hold(MAX_PER_DAY, reason, last_day[-most] + DAY_SECONDS)


def _too_soon(view: View, now: float) -> Hold | None:
    cooldown = view.triggers.cooldown_seconds
    until = max((run.started_at for run in view.runs), default=-float(cooldown)) + cooldown
    if now >= until:
        return None
    return Hold(COOLDOWN, f"the last run was started less than {cooldown} seconds ago", until)


def _start(view: View, wanted: str) -> Start:
    attempt = attempts(view.runs, wanted) + 1
    automatic = BY_DATA if attempt == 1 else BY_RETRY
    return Start(wanted, attempt, BY_PERSON if view.forced else automatic)
