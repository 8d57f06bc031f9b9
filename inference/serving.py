"""The two functions the serving container calls.

``transform_fn`` returns a response instead of raising: the container turns every exception into a 500 HTML
page. The container calls ``model_fn`` at the first request of each worker, and again for each request that
arrives meanwhile, hence the lock. The first worker to load wakes the others (``inference.waking``).
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from inference import waking
from inference.answering import Answerer
from inference.responses import respond

_lock = threading.Lock()
_loaded: dict[str, Answerer] = {}


def model_fn(model_dir: str) -> Answerer:
    """Load the model once per worker, if it is the one that was registered.

    The release says which passport that is; the seed has none.

    Raises:
        ArtifactError: The model was changed or belongs to another scikit-learn; the worker's ping stays red.
    """
    with _lock:
        if model_dir not in _loaded:
            from training import artifact, estimators
            from training.registry.passport import PASSPORT_VARIABLE

            woken = waking.wake_others()
            try:
                model = artifact.load(Path(model_dir), os.environ.get(PASSPORT_VARIABLE, ""))
                estimators.single_threaded(model.estimator)
                _loaded[model_dir] = Answerer(model)
            finally:
                for connection in woken:
                    connection.close()
        return _loaded[model_dir]


def transform_fn(model: Answerer, body: bytes | str, content_type: str, accept: str | None) -> Any:
    """Answer a request with a Flask response that carries its own status and headers."""
    return respond(model.answer(body, content_type, accept))
