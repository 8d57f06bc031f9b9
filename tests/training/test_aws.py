"""Small things every function relies on."""

import pytest
from botocore.exceptions import ClientError

from tests.training.lambdas import ACCOUNT, DATA
from training.aws import Place, is_missing, require


def _error(code):
    return ClientError({"Error": {"Code": code}}, "HeadObject")


def test_a_place_is_read_from_the_functions_own_arn():
    place = Place.of("arn:aws-cn:lambda:cn-north-1:123456789012:function:upkeep-dev-intake")
    assert place == Place("aws-cn", "cn-north-1", "123456789012")
    assert place.arn("sqs", "queue") == "arn:aws-cn:sqs:cn-north-1:123456789012:queue"


def test_all_variables_that_are_missing_are_named():
    assert require({"A": "1", "B": "2"}, "A", "B") == ["1", "2"]
    with pytest.raises(KeyError, match="not set: B, C"):
        require({"A": "1", "B": ""}, "A", "B", "C")


@pytest.mark.parametrize("code", ["404", "NoSuchKey"])
def test_a_404_means_that_the_object_is_missing(store, code):
    assert is_missing(_error(code), store.s3, DATA, "a", ACCOUNT)


def test_a_403_means_that_the_object_is_missing_unless_the_listing_has_it(store):
    store.put("incoming/toy/a.csv", "x")
    assert not is_missing(_error("403"), store.s3, DATA, "incoming/toy/a.csv", ACCOUNT)
    assert is_missing(_error("403"), store.s3, DATA, "incoming/toy/a", ACCOUNT)  # only a longer name is there
    assert is_missing(_error("AccessDenied"), store.s3, DATA, "incoming/toy/b.csv", ACCOUNT)


def test_another_error_says_nothing_about_the_object(store):
    assert not is_missing(_error("SlowDown"), store.s3, DATA, "a", ACCOUNT)
