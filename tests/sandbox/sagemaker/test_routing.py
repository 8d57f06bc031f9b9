from __future__ import annotations

from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from sandbox.sagemaker.routing import choose

WEIGHTS = st.lists(st.floats(min_value=0, max_value=1e6, allow_subnormal=False), min_size=1, max_size=6)
POINT = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(WEIGHTS, POINT)
def test_a_variant_of_weight_zero_gets_no_request(weights: list[float], point: float) -> None:
    assume(any(weight > 0 for weight in weights))
    assert weights[choose(weights, point)] > 0


@given(WEIGHTS, POINT)
def test_every_request_finds_a_variant(weights: list[float], point: float) -> None:
    assert 0 <= choose(weights, point) < len(weights)


@given(st.lists(st.integers(min_value=0, max_value=20), min_size=1, max_size=5))
def test_each_variant_gets_its_share_of_evenly_spread_points(weights: list[int]) -> None:
    total = sum(weights)
    assume(total > 0)
    hits = Counter(choose(weights, (point + 0.5) / total) for point in range(total))
    assert [hits[index] for index in range(len(weights))] == weights


@given(st.integers(min_value=1, max_value=6), POINT)
def test_weights_that_are_all_zero_are_equal(count: int, point: float) -> None:
    assert choose([0.0] * count, point) == int(point * count)
