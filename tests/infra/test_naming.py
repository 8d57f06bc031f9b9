import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import naming
from infra.naming import Names, shorten, stack_part

STACKS = st.text(alphabet="abcXYZ019-_.", min_size=1, max_size=60)
MODELS = st.from_regex(r"[a-z][a-z0-9-]{0,18}[a-z0-9]", fullmatch=True)
_SAGEMAKER = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


def _names(stack: str) -> Names:
    return Names(stack=stack, account_id="123456789012", region="eu-central-1")


@given(STACKS, MODELS)
def test_every_name_is_one_that_aws_takes_whatever_stack_and_model_are_called(stack: str, model: str) -> None:
    names = _names(stack)
    own = names.model(model)
    for role in ("data", "artifacts", "logs"):
        assert _BUCKET.fullmatch(names.bucket(role))
    sagemaker = [own.base, own.serving(99999, "0123456789ab"), own.training_job("0" * naming.RUN_ID_LENGTH)]
    sagemaker.append(own.training_job(own.seed_run("0123456789abcdef")))
    assert all(_SAGEMAKER.fullmatch(name) for name in sagemaker), sagemaker
    assert len(own.retrain) <= naming.MAX_STATE_MACHINE
    assert len(own.release) <= naming.MAX_STATE_MACHINE
    assert len(names.named("intake-dead")) <= naming.MAX_QUEUE
    assert len(names.named("release")) <= naming.MAX_FUNCTION


@given(STACKS, STACKS)
def test_two_stacks_never_share_a_prefix(one: str, other: str) -> None:
    assert one == other or stack_part(one) != stack_part(other)


@pytest.mark.parametrize("stack", ["dev", "staging", "prod", "sandbox", "pr-1234"])
def test_ordinary_stacks_keep_their_name(stack: str) -> None:
    assert _names(stack).prefix == f"upkeep-{stack}"


@given(st.text(alphabet="abc-", min_size=1, max_size=100), st.integers(min_value=20, max_value=80))
def test_a_shortened_name_fits_and_a_fitting_one_stays(name: str, limit: int) -> None:
    found = shorten(name, limit)
    assert len(found) <= limit
    assert len(name) > limit or found == name


def test_long_names_with_the_same_start_stay_apart() -> None:
    assert shorten("a" * 70 + "1", 64) != shorten("a" * 70 + "2", 64)
