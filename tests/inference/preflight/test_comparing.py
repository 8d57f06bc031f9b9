"""Rows, answers, differences and verdicts, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference.preflight import answers, judge, measure, rows, shadow
from inference.preflight.answers import AnswerError, Prediction
from inference.preflight.judge import RefusedError
from inference.preflight.measure import Latency
from inference.preflight.recorded import Recorded
from inference.preflight.server import Reply
from tests.inference.preflight.fakes import FakeServer, predictions

FEATURES = ("size", "kind")
TWO = Recorded(b'{"instances": [{"size": 1, "kind": "a"}, {"size": 2, "kind": null}]}')
REFUSAL = Reply(400, b'{"error": "no"}', "application/json", 1.0)
BROKEN = Reply(500, b"<html>oh</html>", "text/html", 1.0)


class TestTheRowsOfARequest:
    @pytest.mark.parametrize(
        "request_",
        [
            TWO,
            Recorded(b'[{"size": 1, "kind": "a"}, {"size": 2, "kind": null}]'),
            Recorded(b'{"size": 1, "kind": "a"}\n\n{"size": 2, "kind": null}\n', "application/jsonlines"),
            Recorded(b'{"size": 1, "kind": "a"}\n{"size": 2, "kind": null}', "application/x-ndjson"),
        ],
        ids=["instances", "list", "lines", "ndjson"],
    )
    def test_of_json_are_its_objects(self, request_: Recorded) -> None:
        found = rows.split(request_, FEATURES)
        assert [row.values for row in found] == [{"size": 1, "kind": "a"}, {"size": 2, "kind": None}]
        alone = rows.split(found[1].single, FEATURES)
        assert [row.values for row in alone] == [{"size": 2, "kind": None}]

    def test_of_csv_are_named_by_the_features_in_their_order(self) -> None:
        found = rows.split(Recorded(b'1,"a,b"\r\n2,\r\n', "text/csv; charset=utf-8"), FEATURES)
        assert [row.values for row in found] == [{"size": "1", "kind": "a,b"}, {"size": "2", "kind": ""}]
        assert found[0].single == Recorded(b'1,"a,b"\n', "text/csv; charset=utf-8")

    def test_of_csv_with_a_header_are_named_by_it_and_keep_it(self) -> None:
        found = rows.split(Recorded(b"kind, size\na,1\nb,2\n", "text/csv"), FEATURES)
        assert [row.values for row in found] == [{"kind": "a", "size": "1"}, {"kind": "b", "size": "2"}]
        assert found[1].single.body == b"kind, size\nb,2\n"

    def test_of_csv_follow_what_the_type_says_about_a_header(self) -> None:
        absent = Recorded(b"1,size\n2,kind\n", "text/csv; header=absent")
        assert [row.values["kind"] for row in rows.split(absent, FEATURES)] == ["size", "kind"]
        present = Recorded(b"a,b\n2,3\n", 'text/csv; charset=utf-8; header="present"')
        assert [row.values for row in rows.split(present, FEATURES)] == [{"a": "2", "b": "3"}]

    @pytest.mark.parametrize("body", [b"", b"{", b"3", b'{"instances": 3}', b'{"instances": [1]}', b"\xff"])
    def test_of_anything_else_are_none(self, body: bytes) -> None:
        assert rows.split(Recorded(body), FEATURES) == []
        assert rows.split(Recorded(body, "application/x-npy"), FEATURES) == []


class TestTheAnswers:
    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("application/json", '{"predictions": [{"score": 0.25, "label": 0}, {"score": 1, "label": 1}]}'),
            ("application/jsonlines", '{"score": 0.25, "label": 0}\n{"score": 1.0, "label": 1}\n'),
            ("text/csv; charset=utf-8", "0.25,0\n1.0,1\n"),
        ],
    )
    def test_are_read_in_all_three_forms(self, kind: str, body: str) -> None:
        found = answers.read(Reply(200, body.encode(), kind, 1.0))
        assert found == [Prediction(0.25, "0"), Prediction(1.0, "1")]

    def test_of_a_regression_have_no_label(self) -> None:
        assert answers.read(predictions(3.5, labels=False)) == [Prediction(3.5, None)]
        assert answers.read(Reply(200, b"3.5\n", "text/csv", 1.0)) == [Prediction(3.5, None)]

    @pytest.mark.parametrize("score", ["NaN", "Infinity", "-Infinity"])
    def test_that_are_no_numbers_are_refused(self, score: str) -> None:
        body = f'{{"predictions": [{{"score": 1}}, {{"score": {score}}}]}}'.encode()
        with pytest.raises(AnswerError, match="row 2 is answered with the score"):
            answers.read(Reply(200, body, "application/json", 1.0))

    @pytest.mark.parametrize(
        "body",
        ["", "{}", "[]", '{"predictions": [1]}', '{"predictions": [{"score": "1"}]}', '{"predictions": 1}'],
    )
    def test_that_cannot_be_read_are_refused_with_what_they_hold(self, body: str) -> None:
        with pytest.raises(AnswerError, match="an answer cannot be read"):
            answers.read(Reply(200, body.encode(), "application/json", 1.0))


class TestTheDifferences:
    def pairs(self) -> list[shadow.Pair]:
        asked = [rows.split(TWO, FEATURES), [], rows.split(TWO, FEATURES)]
        before = [predictions(0.1, 0.4), predictions(0.7), REFUSAL]
        after = [predictions(0.1, 0.6), predictions(0.2), predictions(0.1, 0.1)]
        return shadow.pairs(asked, before, after)

    def test_are_of_rows_that_both_answered(self) -> None:
        assert [(p.before.score, p.after.score) for p in self.pairs()] == [(0.1, 0.1), (0.4, 0.6), (0.7, 0.2)]
        assert [dict(p.values) for p in self.pairs()][1:] == [{"size": 2, "kind": None}, {}]

    def test_are_summed_up(self) -> None:
        found = shadow.compare(self.pairs())
        assert found is not None
        assert (found["compared"], found["changed_labels"]) == (3, 2)
        assert found["mean_difference"] == pytest.approx(-0.1)
        assert found["mean_abs_difference"] == pytest.approx(0.7 / 3)
        assert found["max_abs_difference"] == pytest.approx(0.5)
        assert found["transitions"] == [
            {"before": "0", "after": "1", "rows": 1},
            {"before": "1", "after": "0", "rows": 1},
        ]

    def test_show_the_rows_that_change_most_first_and_none_that_stay(self) -> None:
        found = shadow.compare(self.pairs())
        assert found is not None
        assert [round(row["difference"], 3) for row in found["worst"]] == [-0.5, 0.2]

    def test_are_counted_in_bins_around_zero(self) -> None:
        found = shadow.compare(self.pairs())
        assert found is not None
        edges, counts = found["histogram"]["edges"], found["histogram"]["counts"]
        assert (edges[0], edges[10], edges[-1]) == pytest.approx((-0.5, 0.0, 0.5))
        assert sum(counts) == 3
        assert counts[0] == 1

    def test_repeat_nothing_long_and_nothing_that_json_does_not_know(self) -> None:
        body = json.dumps({"instances": [{"a": "x" * 500, "b": float("nan"), "c": {"d": [1]}, "e": True}]})
        asked = [rows.split(Recorded(body.encode()), FEATURES)]
        found = shadow.compare(shadow.pairs(asked, [predictions(0.1)], [predictions(0.2)]))
        assert found is not None
        values = found["worst"][0]["values"]
        assert (len(values["a"]), values["b"], values["c"], values["e"]) == (80, "nan", "{'d': [1]}", True)
        json.dumps(found, allow_nan=False)

    def test_of_equal_answers_are_none(self) -> None:
        found = shadow.compare(shadow.pairs([[]], [predictions(0.1)], [predictions(0.1)]))
        assert found is not None
        assert (found["changed_labels"], found["worst"], found["max_abs_difference"]) == (0, [], 0.0)

    def test_of_a_regression_count_no_labels(self) -> None:
        old, new = predictions(1.0, labels=False), predictions(3.0, labels=False)
        found = shadow.compare(shadow.pairs([[]], [old], [new]))
        assert found is not None
        assert (found["changed_labels"], found["mean_difference"]) == (None, 2.0)

    def test_without_a_row_answered_by_both_there_are_none(self) -> None:
        assert shadow.compare(shadow.pairs([[]], [REFUSAL], [predictions(1.0)])) is None
        assert shadow.compare(shadow.pairs([[]], [predictions(1.0)], [predictions(1.0, 2.0)])) is None


class TestTheVerdict:
    def test_only_what_serves_now_answers_must_be_answered(self) -> None:
        must = judge.counted([predictions(1.0), REFUSAL], 3)
        assert must == [True, False, True]
        assert judge.failures([BROKEN, BROKEN, REFUSAL], must) == [BROKEN, REFUSAL]
        assert judge.counted(None, 2) == [True, True]

    def test_a_request_that_is_not_answered_any_more_is_named(self) -> None:
        with pytest.raises(RefusedError, match=r"^1 of 2 requests .* the first: 500: <html>oh</html>$"):
            judge.check_answers([predictions(1.0), BROKEN], [], None, [True, True])

    def test_a_number_that_is_none_is_refused(self) -> None:
        with pytest.raises(RefusedError, match="request 1: row 1 is answered with the score nan"):
            judge.check_answers([predictions(float("nan"))], [], None, [True])

    def test_a_missing_prediction_is_refused(self) -> None:
        with pytest.raises(RefusedError, match="1 predictions are answered, 2 by what serves now"):
            judge.check_answers([predictions(1.0)], [], [predictions(1.0, 2.0)], [True])

    def test_failing_under_several_requests_at_the_same_moment_is_refused(self) -> None:
        with pytest.raises(RefusedError, match="1 of 2 requests fail when several come"):
            judge.check_answers([predictions(1.0)], [predictions(1.0), BROKEN], None, [True])

    def test_good_answers_pass(self) -> None:
        before = [predictions(0.3, 0.1), REFUSAL, Reply(200, b"unreadable", "text/csv", 1.0)]
        now = [predictions(0.1, 0.2), REFUSAL, predictions(0.5)]
        judge.check_answers(now, [predictions(1.0)], before, [True, False, True])
        judge.check_answers(now, [], None, [True, False, True])

    def test_a_slow_version_is_refused_with_both_times(self) -> None:
        with pytest.raises(RefusedError, match=r"up to 251\.0 ms, allowed are 250 ms"):
            judge.check_latency(Latency(100, 10, 251), 250)
        judge.check_latency(Latency(100, 10, 250), 250)
        judge.check_latency(None, 250)

    def test_the_sample_of_its_training_is_answered_as_it_was_then(self) -> None:
        expected = [{"score": 0.2, "label": 0}, {"score": 0.7, "label": 1}]
        judge.check_sample(predictions(0.2, 0.7 + 1e-9), expected)
        with pytest.raises(RefusedError, match=r"row 2 .* found score 0\.71 and label 1, expected 0\.7"):
            judge.check_sample(predictions(0.2, 0.71), expected)
        with pytest.raises(RefusedError, match="has 2 rows, 1 predictions"):
            judge.check_sample(predictions(0.2), expected)
        with pytest.raises(RefusedError, match="does not answer the sample"):
            judge.check_sample(REFUSAL, expected)

    def test_a_model_without_a_sample_is_not_asked_for_it(self, tmp_path: Path) -> None:
        assert judge.sample_request(tmp_path) is None
        (tmp_path / "sample.json").write_text("{}")
        assert judge.sample_request(tmp_path) is None
        (tmp_path / "sample.json").write_text(
            json.dumps({"instances": [{"a": 1}], "predictions": [{"score": 1}]})
        )
        assert judge.sample_request(tmp_path) == (Recorded(b'{"instances": [{"a": 1}]}'), [{"score": 1}])


class TestTheMeasuring:
    def test_a_percentile_is_a_value_that_was_seen(self) -> None:
        values = [float(n) for n in range(1, 101)]
        assert (measure.percentile(values, 0.5), measure.percentile(values, 0.99)) == (50.0, 99.0)
        assert measure.percentile([7.0], 0.99) == 7.0

    def test_single_rows_are_timed_a_hundred_times_and_a_hiccup_does_not_count(self) -> None:
        times = iter([300.0, *[2.0] * 99])
        server = FakeServer(lambda _: predictions(1.0, milliseconds=next(times)))
        assert measure.latency(server, [TWO], 250, 60) == Latency(100, 2.0, 2.0)

    def test_a_slow_round_is_repeated_and_the_best_counts(self) -> None:
        times = iter([300.0, 300.0, *[3.0] * 100])
        server = FakeServer(lambda _: predictions(1.0, milliseconds=next(times)))
        assert measure.latency(server, [TWO], 250, 60) == Latency(100, 3.0, 3.0)

    def test_a_version_that_is_always_slow_costs_few_requests(self) -> None:
        server = FakeServer(lambda _: predictions(1.0, milliseconds=300.0))
        found = measure.latency(server, [TWO], 250, 60)
        assert found == Latency(2, 300.0, 300.0, complete=False)
        assert server.asked == 2 * measure.ROUNDS

    def test_without_rows_nothing_is_timed(self) -> None:
        assert measure.latency(FakeServer(lambda _: BROKEN), [], 250, 60) is None

    def test_asking_ends_after_many_failures_in_a_row(self) -> None:
        server = FakeServer(lambda _: BROKEN)
        assert len(measure.replay(server, [TWO] * 100, 60)) == measure.MAX_FAILURES_IN_A_ROW

    def test_asking_ends_with_the_time(self) -> None:
        assert measure.replay(FakeServer(lambda _: BROKEN), [TWO] * 10, 0) == []

    def test_a_burst_asks_the_same_requests_again(self) -> None:
        server = FakeServer(lambda _: predictions(1.0))
        assert len(measure.burst(server, [TWO], 60)) == measure.BURST
        assert measure.burst(server, [], 60) == []
