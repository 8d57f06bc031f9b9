"""What `serve` starts: SAGEMAKER_SERVING_MODULE=sagemaker_sklearn_container.serving:main.

`main` is the WSGI application of every worker. It builds itself at the first request, ping or invocation:
a worker that has not been asked anything has loaded nothing.
"""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from sagemaker_containers import _content_types, _encoders, _env, _server, _transformer, _worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logging.basicConfig(format="%(asctime)s %(levelname)s - %(name)s - %(message)s", level=logging.INFO)
logging.getLogger("botocore").setLevel(logging.WARNING)

WAYS_TO_PREDICT = ("input_fn", "predict_fn", "output_fn")

_app: _worker.Worker | None = None


class UserError(Exception):
    """The user's module defines functions that exclude each other."""


def _decode(body: str | bytes, content_type: str) -> Any:
    array = _encoders.decode(body, content_type)
    return array.astype(np.float32) if content_type in _content_types.UTF8_TYPES else array


def _predict(data: Any, model: Any) -> Any:
    return model.predict(data)


def _encode(prediction: Any, accept: str) -> _worker.Response:
    return _worker.Response(_encoders.encode(prediction, accept), mimetype=accept)


def _transformer_of(module: Any) -> _transformer.Transformer:
    model_fn = getattr(module, "model_fn", _transformer.default_model_fn)
    own = {name: getattr(module, name) for name in WAYS_TO_PREDICT if getattr(module, name, None)}
    transform_fn = getattr(module, "transform_fn", None)
    if transform_fn is None:
        defaults = dict(zip(WAYS_TO_PREDICT, (_decode, _predict, _encode), strict=True))
        return _transformer.Transformer(model_fn=model_fn, **(defaults | own))
    if own:
        raise UserError(
            f"{module.__name__} defines transform_fn and also {', '.join(own)}; keep one of the two ways"
        )
    return _transformer.Transformer(model_fn=model_fn, transform_fn=transform_fn)


def _build() -> _worker.Worker:
    name = _env.ServingEnv().module_name
    module = importlib.import_module(name)
    transformer = _transformer_of(module)
    transformer.initialize()
    return _worker.Worker(
        transform_fn=transformer.transform,
        module_name=name,
        execution_parameters_fn=getattr(module, "execution_parameters_fn", None),
    )


def main(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer one request; the first one of a worker imports the user's module and loads the model."""
    global _app
    if _app is None:
        _app = _build()
    answer: Iterable[bytes] = _app(environ, start_response)
    return answer


def _start_gunicorn(command: list[str], *args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
    """Start gunicorn where the sandbox reaches it, or else on this machine's own address alone.

    An endpoint's server gets a unix socket, as behind the image's nginx. One that a job starts for itself
    gets its port, as the image's without nginx, but never one that others on the network could reach.
    """
    socket = os.environ.get("UPKEEP_GUNICORN_SOCKET")
    moved = [_moved(part, socket) if part.startswith("0.0.0.0:") else part for part in command]
    return subprocess.Popen(moved, *args, **kwargs)


def _moved(address: str, socket: str | None) -> str:
    return f"unix:{socket}" if socket else "127.0.0.1:" + address.partition(":")[2]


def serving_entrypoint() -> None:
    """Start the server; returns when it ends. There is no nginx here."""
    os.environ["SAGEMAKER_USE_NGINX"] = "false"
    _server.subprocess = SimpleNamespace(Popen=_start_gunicorn)
    _server.start(_env.ServingEnv().framework_module)
