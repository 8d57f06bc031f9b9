import json

import pytest

from tests.upkeep.stand import flights
from training.ledger.records import DEAD, ObjectRecord
from upkeep import dead_letters, replay
from upkeep.replay import Options

KEY = "incoming/flights/a.csv"
WAKE = json.dumps({"model": "flights", "why": "arrival"})


def handled(stand, **options):
    given = Options(wait_seconds=0, **options)
    return list(replay.replay(stand.context, stand.ledger, given))


def actions(stand, **options):
    return [one.action for one in handled(stand, **options)]


@pytest.fixture
def given_up(stand):
    """A good file whose message was given up; its version."""
    version = stand.put(KEY, flights(4))
    record = ObjectRecord.of(KEY, version, owner="m", claimed_until=stand.clock.at + 1)
    stand.ledger.claim(record)
    stand.ledger.settle(ObjectRecord.of(KEY, version, owner="m", state=DEAD, reason="S3 was down"))
    stand.dead("intake", stand.event(KEY, version))
    return version


def test_a_dead_letter_goes_back_to_its_queue_with_its_error_shown(stand, given_up):
    (one,) = handled(stand)
    assert (one.queue, one.subject.key, one.error, one.action) == ("intake", KEY, "S3 was down", "sent back")
    assert stand.messages("intake") == [stand.event(KEY, given_up)]
    assert stand.messages("intake-dead") == []


def test_what_was_sent_back_is_accepted(stand, given_up):
    handled(stand)
    stand.take_in(KEY, given_up)
    assert stand.ledger.at(KEY, given_up).state == "accepted"


def test_a_second_replay_finds_nothing(stand, given_up):
    handled(stand)
    assert handled(stand) == []


def test_looking_leaves_every_message_where_it_is(stand, given_up):
    stand.dead("dispatch", WAKE)
    assert actions(stand, dry_run=True) == ["would send back", "would send back"]
    assert len(stand.messages("intake-dead")) == len(stand.messages("dispatch-dead")) == 1
    assert stand.messages("intake") == stand.messages("dispatch") == []


def test_the_same_message_twice_is_sent_back_once(stand, given_up):
    stand.dead("intake", stand.event(KEY, given_up))
    assert sorted(actions(stand)) == ["removed", "sent back"]
    assert len(stand.messages("intake")) == 1
    assert stand.messages("intake-dead") == []


def test_a_letter_about_a_file_that_was_settled_since_is_removed(stand, given_up):
    stand.take_in(KEY, given_up)
    (one,) = handled(stand)
    assert (one.action, one.why) == ("removed", "it was accepted meanwhile")
    assert stand.messages("intake") == []


def test_a_letter_without_a_version_is_sent_back_whatever_became_of_others(stand):
    stand.dead("intake", stand.event(KEY))
    assert actions(stand) == ["sent back"]


@pytest.mark.parametrize(
    ("role", "body", "said"),
    [
        ("intake", "not json", "no JSON: 'not json'"),
        ("intake", "[1]", "no JSON object"),
        ("intake", '{"source": "aws.s3"}', "detail-type: found None"),
        ("intake", '{"source": "aws.ec2", "detail-type": "Object Created", "detail": 7}', "source: found"),
        ("dispatch", '{"model": "trains", "why": "arrival"}', "model: found 'trains', deployed: flights"),
        ("dispatch", '{"model": "flights", "why": "fun"}', "why: found 'fun', expected one of arrival"),
        ("dispatch", '{"detail-type": "Something"}', "neither a wake of a model nor an event"),
    ],
)
def test_what_nothing_of_the_stack_can_have_sent_is_shown_and_left(stand, role, body, said):
    stand.dead(role, body)
    (one,) = handled(stand)
    assert one.action == "left"
    assert said in one.why
    assert stand.messages(f"{role}-dead") == [body]
    assert stand.messages(role) == []


def test_an_event_of_a_foreign_bucket_is_left(stand):
    stand.dead("intake", stand.event(KEY).replace("upkeep-test-data", "someone-elses"))
    assert actions(stand) == ["left"]


def test_forged_messages_are_deleted_when_that_is_wanted(stand):
    stand.dead("intake", "not json")
    assert actions(stand, drop=True, dry_run=True) == ["would drop"]
    assert actions(stand, drop=True) == ["dropped"]
    assert stand.messages("intake-dead") == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (WAKE, "flights: arrival"),
        (json.dumps({"detail-type": "Scheduled Event", "detail": {}}), "Scheduled Event"),
        (
            json.dumps(
                {"detail-type": "Step Functions Execution Status Change", "detail": {"executionArn": "arn:x"}}
            ),
            "Step Functions Execution Status Change arn:x",
        ),
    ],
)
def test_the_dispatchers_letters_go_back_to_the_dispatcher(stand, body, text):
    stand.dead("dispatch", body)
    (one,) = handled(stand)
    assert (one.queue, one.subject.text, one.action) == ("dispatch", text, "sent back")
    assert stand.messages("dispatch") == [body]


def test_a_limit_leaves_the_rest_for_later(stand):
    for number in range(3):
        stand.dead("intake", stand.event(f"incoming/flights/{number}.csv"))
    assert len(handled(stand, limit=2)) == 2
    assert len(stand.messages("intake-dead")) == 1


def test_a_letter_is_kept_when_its_queue_does_not_take_it(stand, given_up, monkeypatch):
    def refuse(**_message):
        raise RuntimeError("no network")

    monkeypatch.setattr(stand.sqs, "send_message", refuse)
    with pytest.raises(RuntimeError):
        handled(stand)
    stand.clock.at += dead_letters.VISIBILITY_SECONDS
    counts = stand.sqs.get_queue_attributes(
        QueueUrl=stand.queues["intake-dead"],
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    assert sum(map(int, counts.values())) == 1


def test_peeking_takes_no_message_away(stand, given_up):
    (queue, _) = dead_letters.queues(stand.context.outputs)
    assert len(dead_letters.peek(stand.context, queue, 10, 0)) == 1
    assert len(dead_letters.peek(stand.context, queue, 10, 0)) == 1


def test_a_stack_without_a_dispatch_queue_has_one_queue_of_dead_letters(stand):
    there = type(stand.context)({}, intake_dead_letters_url="http://dead", ledger_table="t")
    assert [queue.name for queue in dead_letters.queues(there.outputs)] == ["intake"]


def test_a_letter_prints_as_json(stand, given_up):
    printed = json.loads(json.dumps(handled(stand)[0].to_json()))
    assert (printed["kind"], printed["key"], printed["version_id"]) == ("object", KEY, given_up)
    assert printed["action"] == "sent back"
