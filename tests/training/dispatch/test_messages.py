"""From a message only the model is taken, and only from our own queue, account and machines."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.dispatch.messages import RefusedMessageError, Sweep, Wake, read

ACCOUNT, PREFIX = "123456789012", "upkeep-dev"
QUEUE = f"arn:aws:sqs:eu-central-1:{ACCOUNT}:upkeep-dev-dispatch"


def receive(body, queue=QUEUE):
    text = body if isinstance(body, str) else json.dumps(body)
    return read({"eventSourceARN": queue, "body": text}, prefix=PREFIX, account=ACCOUNT)


def ended(machine, **detail):
    arn = f"arn:aws:states:eu-central-1:{ACCOUNT}:stateMachine:{machine}"
    kind = "Step Functions Execution Status Change"
    return {
        "source": "aws.states",
        "detail-type": kind,
        "account": ACCOUNT,
        "detail": {"stateMachineArn": arn} | detail,
    }


def test_a_wake_names_its_model():
    assert receive({"model": "flights", "why": "forced"}) == Wake("flights", "forced")


def test_an_ended_training_names_its_run():
    assert receive(ended("upkeep-dev-my-model-retrain", name="r1")) == Wake("my-model", "retrain", "r1")


def test_an_ended_release_is_no_run():
    assert receive(ended("upkeep-dev-flights-release", name="x_y")) == Wake("flights", "release")


def test_the_schedule_sweeps():
    assert receive({"source": "aws.events", "detail-type": "Scheduled Event", "account": ACCOUNT}) == Sweep()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        {},
        {"model": "Flights"},
        {"model": "../../x"},
        {"model": ["flights"]},
        {"source": "aws.events", "detail-type": "Scheduled Event"},
        {"source": "someone", "detail-type": "Scheduled Event", "account": ACCOUNT},
        ended("upkeep-dev-flights-other"),
        ended("upkeep-prod-flights-retrain"),
        ended("upkeep-dev--retrain"),
        ended("x") | {"account": "999999999999"},
        ended("x") | {"detail": "text"},
    ],
)
def test_anything_else_is_refused(body):
    with pytest.raises(RefusedMessageError):
        receive(body)


@pytest.mark.parametrize(
    "queue",
    [
        "",
        "arn:aws:sqs:eu-central-1:999999999999:upkeep-dev-dispatch",
        QUEUE + "-dead",
        QUEUE.replace("sqs", "sns"),
    ],
)
def test_a_message_of_another_queue_is_refused(queue):
    with pytest.raises(RefusedMessageError, match="expected queue upkeep-dev-dispatch"):
        receive({"model": "flights"}, queue)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_no_message_crashes_the_reader(body):
    try:
        found = receive(body)
    except RefusedMessageError:
        return
    assert isinstance(found, Wake)
