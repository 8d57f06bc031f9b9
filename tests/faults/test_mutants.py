"""The checker finds every mistake put into the functions, with the stories that everything is tested with."""

import pytest

from tests.faults.mutants import MUTANTS
from tests.faults.stories import broken, tell

# From the story a mutant names on; most show in the first.
STORIES = 12


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_stories_find_the_mistake(mutant):
    with mutant.alive():
        for number in range(mutant.first, mutant.first + STORIES):
            found = broken(tell(number))
            if any(promise.startswith(mutant.finds) for promise in found):
                return
    pytest.fail(f"{STORIES} stories from {mutant.first} on do not find it; see `first` in mutants.py")


def test_what_finds_the_mistakes_finds_none_without_them():
    for number in sorted({mutant.first for mutant in MUTANTS}):
        assert not broken(tell(number)), number
