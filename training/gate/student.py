"""Student's t distribution: how far an estimate strays whose standard error is itself estimated.

Standard library only, for the judge carries neither numpy nor scipy.
"""

from __future__ import annotations

import math
from statistics import NormalDist

# The fraction settles after about the square root of its larger parameter; this is more than enough.
_LEAST_TERMS, _TERMS_PER_ROOT = 30, 4
_CLOSE = 1e-9


def tail(t: float, freedom: float) -> float:
    """The chance of a value above ``t``.

    Args:
        t: In standard errors.
        freedom: Degrees of freedom, above 0; need not be whole.
    """
    half = _beta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2
    return half if t >= 0 else 1 - half


def quantile(share: float, freedom: float) -> float:
    """The value that is exceeded with a chance of ``1 - share``.

    Args:
        share: Above 0.5 and below 1.
        freedom: Degrees of freedom, above 0.
    """
    low = high = NormalDist().inv_cdf(share)  # never above Student's
    while tail(high, freedom) > 1 - share:
        low, high = high, 2 * high
    while high - low > _CLOSE * high:
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle, freedom) > 1 - share else (low, middle)
    return high


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, https://dlmf.nist.gov/8.17."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast only below: 8.17.4 mirrors it
        return 1 - _beta(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / a / (1 + _fraction(x, a, b))


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction 8.17.22 without its leading one, from its last term to its first."""
    value = 0.0
    for term in range(_LEAST_TERMS + int(_TERMS_PER_ROOT * math.sqrt(max(a, b))), 0, -1):
        m = term // 2
        if term % 2:
            step = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            step = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        value = step / (1 + value)
    return value
