"""Numbers say what changed, and always grow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.registry import semver
from training.registry.semver import next_version, parse

NAMES = ("contract", "training", "code", "spec")
DIGESTS = {name: f"{name}-1" for name in NAMES}
versions = st.tuples(*[st.integers(0, 10**6)] * 3).map(lambda parts: ".".join(map(str, parts)))
digests = st.fixed_dictionaries({name: st.sampled_from(["", "1", "2"]) for name in NAMES})


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([], "1.2.4"),
        (["spec"], "1.2.4"),  # of the gate, say: the model is made as before
        (["training"], "1.3.0"),
        (["code"], "1.3.0"),
        (["training", "code", "spec"], "1.3.0"),
        (["contract"], "2.0.0"),
        (["contract", "code"], "2.0.0"),
    ],
)
def test_the_largest_change_decides(changed, expected):
    assert next_version("1.2.3", DIGESTS, {**DIGESTS, **dict.fromkeys(changed, "other")}) == expected


def test_what_nobody_recorded_counts_as_changed_but_no_client_has_to_change_for_it():
    assert next_version("1.2.3", {}, DIGESTS) == "1.3.0"
    assert next_version("1.2.3", {**DIGESTS, "contract": ""}, DIGESTS) == "1.2.4"


@given(versions, digests, digests)
def test_every_number_is_above_the_one_before(previous, before, now):
    found = next_version(previous, before, now)
    assert parse(found) > parse(previous)
    assert found == ".".join(str(part) for part in parse(found))


@given(versions, digests, digests)
def test_exactly_one_place_grows_by_one_and_those_after_it_begin_anew(previous, before, now):
    old, new = parse(previous), parse(next_version(previous, before, now))
    place = next(i for i in range(3) if old[i] != new[i])
    assert new[place] == old[place] + 1
    assert set(new[place + 1 :]) <= {0}


@given(versions, digests, st.lists(digests, min_size=1, max_size=20))
def test_a_history_has_no_number_twice(first, before, history):
    numbers = [first]
    for now in history:
        numbers.append(next_version(numbers[-1], before, now))
        before = now
    assert len(set(numbers)) == len(numbers)


@given(versions)
def test_the_same_inputs_are_a_patch(previous):
    assert parse(next_version(previous, DIGESTS, DIGESTS))[:2] == parse(previous)[:2]


@pytest.mark.parametrize(
    "text", ["", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.-3", "1.2.3-rc1", " 1.2.3"]
)
def test_other_texts_are_no_versions(text):
    assert not semver.is_version(text)
    with pytest.raises(ValueError, match="expected three numbers such as"):
        parse(text)
