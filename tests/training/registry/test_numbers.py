"""A number belongs to one run for good."""

import json
import threading

import pytest

from tests.training.lambdas import ARTIFACTS
from training.registry import numbers
from training.registry.numbers import NumberError

OWNER = "123456789012"
DIGESTS = {"contract": "c", "training": "t", "code": "k", "spec": "s"}


def _claim(store, run_id, digests=DIGESTS, seed=DIGESTS):
    return numbers.claim(
        store.s3,
        bucket=ARTIFACTS,
        owner=OWNER,
        model="toy",
        run_id=run_id,
        digests=digests,
        seed_digests=seed,
    )


def test_the_first_number_follows_the_seed(store):
    assert _claim(store, "r1") == "1.0.1"
    assert store.json("versions/toy/1.0.1.json", ARTIFACTS) == {
        "version": "1.0.1",
        "run_id": "r1",
        "digests": DIGESTS,
    }


def test_a_seed_of_which_nothing_is_recorded_had_other_code(store):
    assert _claim(store, "r1", seed={}) == "1.1.0"


def test_a_run_that_asks_again_gets_its_number(store):
    assert [_claim(store, "r1") for _ in range(3)] == ["1.0.1"] * 3
    assert len(store.keys("versions/", ARTIFACTS)) == 1


def test_numbers_are_compared_as_numbers(store):
    for number in ("1.0.9", "1.0.10", "1.0.2"):
        body = json.dumps({"version": number, "run_id": number, "digests": DIGESTS})
        store.put(f"versions/toy/{number}.json", body, ARTIFACTS)
    store.put("versions/toy/notes.json", "{}", ARTIFACTS)
    store.put("versions/toys/7.0.0.json", "{}", ARTIFACTS)
    assert _claim(store, "r1") == "1.0.11"


def test_runs_that_are_judged_at_once_get_different_numbers(store):
    found = {}
    threads = [
        threading.Thread(target=lambda run=f"r{i}": found.update({run: _claim(store, run)})) for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found.values()) == [f"1.0.{i}" for i in range(1, 7)]


def test_a_bucket_that_never_gives_a_number_is_given_up(store, monkeypatch):
    monkeypatch.setattr(numbers.once, "put", lambda *_: b'{"run_id": "somebody"}')
    with pytest.raises(NumberError, match="20 numbers were taken by others"):
        _claim(store, "r1")
