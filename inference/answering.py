"""Answers one request; knows nothing of the web framework around it."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from inference import codecs, quick
from inference.errors import RequestError
from inference.replies import Replies
from training.artifact import Model

_log = logging.getLogger(__name__)
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
# Set by a release: the semantic version under which the model is registered.
VERSION_VARIABLE = "UPKEEP_MODEL_VERSION"
_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,64}")


@dataclass(frozen=True)
class Answer:
    """What goes back to the client."""

    status: int
    content_type: str
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Answerer:
    """A loaded model with what every request needs of it prepared."""

    def __init__(self, model: Model) -> None:
        spec = model.spec
        self._model = model
        self._scores = quick.scorer(model)
        self._columns = codecs.Columns(model.encoder.names, (spec.time_column, spec.target))
        self._meta = {"model": spec.name, "model_version": model.run_id}
        self._replies = Replies(model, self._meta)
        self._headers = {CUSTOM_ATTRIBUTES: f"model={spec.name};run={model.run_id}{_version()}"}

    def answer(self, body: bytes | str, content_type: str, accept: str | None) -> Answer:
        """Predict the rows of a request; whatever is wrong with it becomes an answer, never an exception."""
        try:
            chosen = codecs.negotiate(accept)
            matrix = codecs.decode(body, content_type, self._columns, self._model.encoder)
            text = self._replies.text(chosen, self._scores(matrix))
            return Answer(HTTPStatus.OK, chosen, text, self._headers)
        except RequestError as error:
            return Answer(error.status, codecs.JSON, error.body(), self._headers)
        except Exception:  # noqa: BLE001 - the server would answer an HTML page; the log keeps the trace
            _log.exception("a request could not be answered")
            failure = RequestError(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                f"the model {self._meta['model']} could not answer; the endpoint's log has the reason",
            )
            return Answer(failure.status, codecs.JSON, failure.body(), self._headers)


def _version() -> str:
    """The registered version as the header tells it; empty before there is one."""
    version = os.environ.get(VERSION_VARIABLE, "")
    if not version:
        return ""
    if not _VERSION.fullmatch(version):
        _log.warning(
            "%s: found %r, expected a version such as 1.2.3; it is left out", VERSION_VARIABLE, version
        )
        return ""
    return f";version={version}"
