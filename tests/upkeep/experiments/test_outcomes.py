"""Which requests count, with which loss, and in which order."""

import base64

import pytest

from tests.upkeep.experiments.examples import T0, Files, capture, experiment
from upkeep.experiments.outcomes import collect


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def collected(files, record=None, task="binary"):
    return collect(record or experiment(), task, files.captures, files.labels)


def test_a_request_and_its_label_are_an_outcome_of_the_variant_that_answered(files):
    files.captured("AllTraffic", capture("e1", T0 + 10, "r1", [(0.2, 0)]))
    files.captured("Challenger", capture("e2", T0 + 11, "r2", [(0.9, 1)]))
    files.labelled("r1,0\nr2,1\n")
    first, second = sorted(collected(files).outcomes, key=lambda o: o.asked_at)
    assert (first.treated, second.treated) == (False, True)
    assert first.loss == pytest.approx(0.04)
    assert second.loss == pytest.approx(0.01)
    assert first.weight == 0.1


def test_outcomes_come_in_the_order_of_their_labels_then_of_their_requests(files):
    files.captured("AllTraffic", capture("e1", T0 + 10, "r1"), capture("e2", T0 + 20, "r2"))
    files.captured("Challenger", capture("e3", T0 + 5, "r3"), capture("e4", T0 + 40, "r4"))
    files.labelled("r4,0\n", modified=T0 + 100)
    files.labelled("r2,0\nr1,0\nr3,0\n", modified=T0 + 300)
    found = collected(files).outcomes
    assert [o.event for o in found] == ["e4", "e3", "e1", "e2"]
    assert [o.known_at - T0 for o in found] == [100, 300, 300, 300]


def test_the_order_does_not_tell_who_answered_or_how_well(files):
    # All in one second and one label file: only SageMaker's random ids tell the outcomes apart.
    for variant, events in (("AllTraffic", "caf"), ("Challenger", "bed")):
        lines = [capture(e, T0 + 10, f"r{e}", [(0.1 * "abcdef".index(e), 0)]) for e in events]
        files.captured(variant, *lines, modified=T0 + 20 + len(files.captures))
    files.labelled("".join(f"r{e},0\n" for e in "fedcba"))
    assert "".join(o.event for o in collected(files).outcomes) == "abcdef"


def test_the_newest_of_several_labels_counts(files):
    files.captured("AllTraffic", capture("e1", T0 + 10, "r1", [(0.2, 0)]))
    files.labelled("r1,0\nr1,1\n")
    assert collected(files).outcomes[0].loss == pytest.approx(0.64)
    files.labelled("r1,0\n", modified=T0 + 900)
    (outcome,) = collected(files).outcomes
    assert outcome.loss == pytest.approx(0.04)
    assert outcome.known_at == T0 + 900


def test_a_request_with_several_rows_is_one_outcome_once_all_have_labels(files):
    files.captured("AllTraffic", capture("e1", T0 + 10, "r1", [(0.2, 0), (0.4, 0)]))
    files.labelled("r1#1,0\n")
    waiting = collected(files)
    assert (waiting.outcomes, waiting.waiting) == ([], 1)
    files.labelled("r1#2,1\n", modified=T0 + 300)
    done = collected(files)
    assert done.outcomes[0].loss == pytest.approx((0.04 + 0.36) / 2)
    assert done.waiting == 0


def test_one_label_for_a_request_with_several_rows_says_nothing(files):
    files.captured("AllTraffic", capture("e1", T0 + 10, "r1", [(0.2, 0), (0.4, 0)]))
    files.labelled("r1,0\n")
    assert collected(files).outcomes == []


def test_an_id_may_look_like_a_row_of_another_request(files):
    files.captured("AllTraffic", capture("e1", T0 + 10, "r1#2", [(0.2, 0)]))
    files.captured("AllTraffic", capture("e2", T0 + 11, "r1", [(0.4, 0), (0.4, 0)]))
    files.labelled("r1#2,0\n")
    found = collected(files)
    assert [o.loss for o in found.outcomes] == [pytest.approx(0.04)]
    assert found.waiting == 1


def test_labels_of_unknown_requests_and_bad_lines_are_counted_and_named(files):
    files.captured("AllTraffic", capture("e1", T0 + 10, "r1"))
    files.labelled("r1,0\nr9,1\nr1,perhaps\n,1\nr1\n")
    found = collected(files)
    assert (len(found.outcomes), found.labels, found.unknown, found.problems.count) == (1, 2, 1, 3)
    assert found.problems.named == [
        "labels/l0.csv, line 4: label: found 'perhaps', expected 0 or 1",
        "labels/l0.csv, line 5: inference_id: found nothing",
        "labels/l0.csv, line 6: found 1 cells, expected 2",
    ]


def test_a_file_without_the_header_is_named_and_the_others_count(files):
    files.captured("AllTraffic", capture("e1", T0 + 10, "r1"))
    files.labelled("r1,0\n")
    files.labels[0][1].write_text("id,truth\nr1,0\n")
    files.labelled("r1,0\n")
    found = collected(files)
    assert len(found.outcomes) == 1
    assert found.problems.named == ["labels/l0.csv: found the header id, truth, expected inference_id,label"]


def test_requests_from_before_and_after_do_not_count(files):
    files.captured("AllTraffic", *(capture(f"e{n}", T0 + n, f"r{n}") for n in (-5, 10, 400)))
    files.labelled("r-5,0\nr10,0\nr400,0\n")
    record = experiment(weights=[{"weight": 0.1, "since": T0, "until": T0 + 300}])
    found = collected(files, record)
    assert [o.asked_at for o in found.outcomes] == [T0 + 10]
    assert found.unknown == 2


def test_every_request_counts_by_the_weight_of_its_time_and_those_between_by_none(files):
    files.captured("AllTraffic", *(capture(f"e{n}", T0 + n, f"r{n}") for n in (10, 105, 200)))
    files.captured("Challenger", capture("e201", T0 + 201, "r201"))
    files.labelled("r10,0\nr105,0\nr200,0\nr201,0\n")
    record = experiment(
        weights=[{"weight": 0.1, "since": T0, "until": T0 + 100}, {"weight": 0.5, "since": T0 + 110}]
    )
    found = collected(files, record)
    assert sorted((o.asked_at - T0, o.weight) for o in found.outcomes) == [(10, 0.1), (200, 0.5), (201, 0.5)]
    assert found.between == 1
    assert [(r.treated, r.control) for r in found.requests] == [(0, 1), (1, 1)]


def test_requests_without_id_are_counted_and_ids_given_twice_do_not_count(files):
    files.captured("AllTraffic", capture("e1", T0 + 10), capture("e2", T0 + 11, "r1"))
    files.captured("Challenger", capture("e3", T0 + 12, "r1"))
    files.labelled("r1,0\n")
    found = collected(files)
    assert (found.outcomes, found.without_id, found.repeated) == ([], 1, 1)


def test_an_event_that_is_read_twice_is_one_request(files):
    for _ in range(2):
        files.captured("AllTraffic", capture("e1", T0 + 10, "r1"))
    files.labelled("r1,0\n")
    found = collected(files)
    assert (len(found.outcomes), found.count(treated=False)) == (1, 1)


def test_answers_in_csv_and_in_base64_are_read(files):
    plain = {"observedContentType": "text/csv", "encoding": "CSV", "data": "0.2,0\n"}
    packed = {**plain, "encoding": "BASE64", "data": base64.b64encode(b"0.4,0\n").decode()}
    files.captured("AllTraffic", capture("e1", T0 + 1, "r1", **plain), capture("e2", T0 + 2, "r2", **packed))
    files.labelled("r1,0\nr2,0\n")
    assert sorted(o.loss for o in collected(files).outcomes) == [pytest.approx(0.04), pytest.approx(0.16)]


def test_what_cannot_be_read_is_counted_and_named_and_the_rest_counts(files):
    strange = capture("e1", T0 + 1, "r1", data="<html>", observedContentType="text/html")
    files.captured("AllTraffic", strange, "no json at all", capture("e2", T0 + 2, "r2"))
    files.labelled("r1,0\nr2,0\n")
    found = collected(files)
    assert len(found.outcomes) == 1
    assert found.unreadable.count == 2
    assert any("found '<html>'" in words for words in found.unreadable.named)


def test_a_score_that_is_no_probability_is_no_outcome(files):
    files.captured("AllTraffic", capture("e1", T0 + 1, "r1", [(7.0, 1)]))
    files.labelled("r1,0\n")
    found = collected(files)
    assert found.outcomes == []
    assert "is the score a probability" in found.unreadable.named[0]


def test_a_regressions_distance_counts_as_a_share_of_the_scale(files):
    answer = {"data": '{"predictions": [{"score": 12.0}]}'}
    files.captured("AllTraffic", capture("e1", T0 + 1, "r1", **answer))
    files.labelled("r1,10\n")
    (outcome,) = collected(files, experiment(loss="absolute", scale=8.0), "regression").outcomes
    assert outcome.loss == pytest.approx(0.25)


def test_an_experiment_without_files_has_no_outcomes(files):
    found = collected(files)
    assert (found.outcomes, found.count(treated=True), found.labels) == ([], 0, 0)
