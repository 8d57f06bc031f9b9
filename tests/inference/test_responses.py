"""Flask sends an answer as it is."""

import json

import pytest

from inference.answering import Answer
from inference.responses import respond

flask = pytest.importorskip("flask", reason="the container has Flask, this environment does not")
HEADERS = {"X-Amzn-SageMaker-Custom-Attributes": "model=toy;run=r;version=1.2.3"}


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [(200, "application/json", json.dumps({"score": 0.5, "label": "café"})), (200, "text/csv", "0.5,é\n"),
     (400, "application/json", '{"error": "no"}'), (200, "application/jsonlines", "")],
)  # fmt: skip
def test_status_headers_and_body_arrive_as_they_were_given(status, content_type, body):
    app = flask.Flask("toy")
    answer = Answer(status, content_type, body, HEADERS)
    app.add_url_rule("/invocations", view_func=lambda: respond(answer), methods=["POST"], endpoint="own")
    app.add_url_rule("/plain", view_func=lambda: _plainly(answer), methods=["POST"], endpoint="plain")
    with app.test_client() as client:
        found, expected = client.post("/invocations", data=b"x"), client.post("/plain", data=b"x")
    assert (found.status, found.data) == (expected.status, expected.data)
    assert found.data == body.encode()
    assert sorted(found.headers) == sorted(expected.headers)
    assert int(found.headers["Content-Length"]) == len(body.encode())


def _plainly(answer):
    """What Flask would make of it by itself."""
    return flask.Response(answer.body, answer.status, dict(answer.headers), content_type=answer.content_type)


def test_an_answer_is_sent_again_and_again():
    app = flask.Flask("toy")
    answer = Answer(200, "application/json", "{}", HEADERS)
    app.add_url_rule("/", view_func=lambda: respond(answer), methods=["POST"])
    with app.test_client() as client:
        assert {client.post("/").data for _ in range(3)} == {b"{}"}
    assert answer.headers == HEADERS
