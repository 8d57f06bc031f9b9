"""Tells which of two models loses less, valid however often and whenever one looks.

A fixed test that is looked at every day is wrong far more often than it says. Here every outcome is a bet.
Let a request go to the treatment (A = 1) with a known chance w, else to the control (A = 0), let x in [0, 1]
be its loss and m a guess of the loss made before it was seen (the mean so far). Then

    Y = (A - w) (x - m),    mean of Y = w (1 - w) d,    d = mean loss of the treatment - that of the control,

whatever the losses of other requests were, because the endpoint draws A at random. So for every fixed size of
bet l, and every difference d, the capital

    (1 + l Y1) / (1 + l w1 (1 - w1) d)  *  (1 + l Y2) / (1 + l w2 (1 - w2) d)  *  ...

is a fair game when d is the truth, and so is the mean of the capitals of several sizes. By Ville's inequality
a fair game that starts with 1 ever reaches 2 / alpha with probability alpha / 2 at most. The differences
under which neither the bets on "larger" nor those on "smaller" have got so far form an interval that holds
the truth at all times together with probability 1 - alpha. Nothing is approximate, and nothing is assumed of
the losses except their range: the hour's luck that all requests share, drift, and changes of the weights are
allowed. When the difference itself changes, the interval is about its mean so far.

The bets: I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting", Journal of
the Royal Statistical Society B 86(1), 2024, https://arxiv.org/abs/2010.09686. The use of the random draw:
S. Howard, A. Ramdas, J. McAuliffe and J. Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
sequences", Annals of Statistics 49(2), 2021, https://arxiv.org/abs/1810.08240, section 4.2.

PyPI's `confseq` has such intervals for one mean, not this one. It is C++ that needs a compiler and Boost,
calls itself early-stage and does not build for Python 3.12 (gostevehoward/confseq issue 22). What is needed
here is a page of the standard library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["better", "worse", "equal", "unknown"]
BETTER: Verdict = "better"
WORSE: Verdict = "worse"
EQUAL: Verdict = "equal"
UNKNOWN: Verdict = "unknown"

# The best size for a difference d is about d / variance; each size found is within a factor sqrt(2) of it.
_SIZES = tuple(0.9 / 2**step for step in range(10))
_LOG_SIZES = math.log(len(_SIZES))
_STEPS = 48  # halvings of [-1, 1]: to 1e-14


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where the difference of the mean losses lies, treatment minus control; both within [-1, 1]."""

    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """What the interval says of the treatment: it is better when its loss is smaller."""
        if self.high < 0:
            return BETTER
        return WORSE if self.low > 0 else UNKNOWN


@dataclass(kw_only=True)
class Arm:
    """Outcomes of one model: how many, their mean loss and its deviation."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, loss: float) -> None:
        """One more; Welford's sums keep their digits."""
        self.count += 1
        away = loss - self.mean
        self.mean += away / self.count
        self.squares += away * (loss - self.mean)

    @property
    def deviation(self) -> float:
        """Standard deviation of a single loss; 0 below two."""
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0


@dataclass(kw_only=True)
class Experiment:
    """The outcomes of two models so far; `add` one after the other, in the order in which they became known.

    Attributes:
        alpha: Chance that the interval ever misses the truth, at most; half of it on either side.
        minimum_effect: A difference no larger than this does not matter; 0 when every one does.
        control: Outcomes of the serving model.
        treatment: Outcomes of the other one.
        decided_at: After how many outcomes the verdict was first reached; 0 when it was not.
    """

    alpha: float = 0.05
    minimum_effect: float = 0.0
    control: Arm = field(default_factory=Arm)
    treatment: Arm = field(default_factory=Arm)
    decided_at: int = 0
    _verdict: Verdict = UNKNOWN
    _total: float = 0.0  # of the losses
    _gain: float = 0.0  # of Y
    # Logarithms of the capitals for d = 0, by size of bet: on a larger loss of the treatment, and a smaller.
    _larger: list[float] = field(default_factory=lambda: [0.0] * len(_SIZES))
    _smaller: list[float] = field(default_factory=lambda: [0.0] * len(_SIZES))
    _counts: dict[float, int] = field(default_factory=dict)  # by w (1 - w)
    _most: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no guarantee can be given for."""
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha: found {self.alpha}, expected a number between 0 and 1")
        if not 0 <= self.minimum_effect < 1:
            raise ValueError(f"minimum_effect: found {self.minimum_effect}, expected 0 or more, below 1")

    @property
    def count(self) -> int:
        """Outcomes so far."""
        return self.control.count + self.treatment.count

    @property
    def difference(self) -> float | None:
        """The best guess of the difference; None while one of the models has no outcome.

        It is that of the interval, in which every outcome counts by the weight of its time; the means of the
        two arms differ by nearly as much while the weight stays the same.
        """
        if not self.control.count or not self.treatment.count:
            return None
        known = sum(n * known for known, n in self._counts.items())
        return max(-1.0, min(1.0, self._gain / known))

    @property
    def verdict(self) -> Verdict:
        """What is known of the treatment. It stays once it is reached, until the opposite is.

        Acting on it at any time is right with probability 1 - alpha.
        """
        return self._verdict

    @property
    def p_value(self) -> float:
        """Smallest alpha with which the outcomes so far would have told the two apart; valid at any time."""
        return min(1.0, 2.0 * math.exp(-self._most))

    def add(self, *, treated: bool, loss: float, weight: float) -> None:
        """Take one outcome.

        Args:
            treated: Whether the treatment answered the request.
            loss: Its loss.
            weight: The chance with which the treatment was given requests at that time.

        Raises:
            ValueError: The loss lies outside [0, 1], or the weight is not between 0 and 1.
        """
        if not 0 <= loss <= 1:
            raise ValueError(f"loss: found {loss}, expected 0 to 1")
        if not 0 < weight < 1:
            raise ValueError(f"weight: found {weight}, expected a number between 0 and 1")
        guess = (0.5 + self._total) / (1 + self.count)
        gain = ((1.0 if treated else 0.0) - weight) * (loss - guess)
        log1p = math.log1p
        for place, size in enumerate(_SIZES):
            self._larger[place] += log1p(size * gain)
            self._smaller[place] += log1p(-size * gain)
        known = weight * (1 - weight)
        self._counts[known] = self._counts.get(known, 0) + 1
        self._total += loss
        self._gain += gain
        (self.treatment if treated else self.control).add(loss)
        self._look()

    def interval(self) -> Interval:
        """Where the difference lies, now; the width for no outcome is 2."""
        limit = math.log(2 / self.alpha)
        return Interval(low=self._bound(self._larger, limit), high=-self._bound(self._smaller, limit))

    def _look(self) -> None:
        limit, found = math.log(2 / self.alpha), self._verdict
        larger = smaller = -math.inf
        # No mean is above its largest part, so most outcomes need no look at all.
        if max(*self._larger, *self._smaller) > min(self._most, limit):
            larger, smaller = _capital(self._larger), _capital(self._smaller)
            self._most = max(self._most, larger, smaller)
        if smaller >= limit and smaller >= larger:
            found = BETTER
        elif larger >= limit:
            found = WORSE
        elif self._verdict == UNKNOWN and self._is_small(limit):
            found = EQUAL
        if found != self._verdict:
            self._verdict, self.decided_at = found, self.count

    def _is_small(self, limit: float) -> bool:
        """Whether no difference as large as the minimum effect, on either side, is left."""
        effect = self.minimum_effect
        if not effect:
            return False
        return all(self._capital_at(logs, -effect) >= limit for logs in (self._larger, self._smaller))

    def _bound(self, logs: Sequence[float], limit: float) -> float:
        """The smallest difference (to the side of these bets) under which they have not won too much."""
        low, high = -1.0, 1.0
        if self._capital_at(logs, low) < limit:
            return low
        for _ in range(_STEPS):
            middle = (low + high) / 2
            if self._capital_at(logs, middle) >= limit:
                low = middle
            else:
                high = middle
        return low

    def _capital_at(self, logs: Sequence[float], difference: float) -> float:
        """Logarithm of the capital of bets when the difference is this; it falls as the difference grows."""
        counts = self._counts.items()
        return _capital(
            [
                won - sum(n * math.log1p(size * known * difference) for known, n in counts)
                for size, won in zip(_SIZES, logs, strict=True)
            ]
        )


def _capital(logs: Sequence[float]) -> float:
    """Logarithm of the mean of the capitals of all sizes."""
    most = max(logs)
    return most + math.log(sum(math.exp(log - most) for log in logs)) - _LOG_SIZES


def expected_outcomes(
    effect: float, *, deviation: float = 0.5, weight: float = 0.5, alpha: float = 0.05
) -> int:
    """About how many outcomes it takes to tell two models apart that differ by `effect`.

    The best bet's capital grows by effect² w (1 - w) / (2 variance) per outcome, to 2 / alpha times as many
    as there are bets. It is near the mean of simulated experiments (`benchmarks/experiment.py`); a good third
    takes longer.

    Args:
        effect: Difference of the mean losses.
        deviation: Standard deviation of a single loss; at most 0.5 for losses between 0 and 1.
        weight: The treatment's share of the requests.
        alpha: As for `Experiment`.
    """
    if not effect:
        raise ValueError("effect: found 0, which takes for ever to find")
    growth = effect**2 * weight * (1 - weight) / (2 * max(deviation, abs(effect)) ** 2)
    return math.ceil((math.log(2 / alpha) + _LOG_SIZES) / growth)
