"""Answers the requests with the version that serves now; run as a program of its own.

    python champion.py <model folder> <requests.jsonl> <replies.jsonl>

It calls the two functions that the container's server would call, with the version's own code from its own
archive. A second server would tell no more: that this version starts and answers is known. But it would
install its code over the challenger's, in the one environment the image has. And it is a process of its own
because the two versions' code cannot be imported side by side.

Standard library only, and nothing of ours: what is imported here is the other version's code.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

# The container decodes the bodies of exactly these types: _transformer.py of sagemaker-containers 2.8.6.
_TEXT = ("application/json", "text/csv")


def main(model: str, requests: str, replies: str) -> int:
    """Write one reply per request."""
    # Our own folder must not hide modules of theirs.
    sys.path[0] = str(Path(model) / "code")
    module = importlib.import_module(
        os.environ.get("SAGEMAKER_PROGRAM", "inference.serving").removesuffix(".py")
    )
    loaded = module.model_fn(model)
    with Path(requests).open(encoding="utf-8") as lines, Path(replies).open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(answer(module, loaded, json.loads(line))) + "\n" for line in lines)
    return 0


def answer(module: Any, loaded: Any, request: dict[str, Any]) -> dict[str, Any]:
    """One reply, made as the container makes it."""
    kind = request["content_type"]
    body = base64.b64decode(request["base64"]) if "base64" in request else request["body"].encode()
    begun = time.perf_counter()
    try:
        given = body.decode("utf-8", "replace") if kind in _TEXT else body
        result = module.transform_fn(loaded, given, kind, request["accept"])
        status, content, answered = _parts(result)
    except Exception as error:  # noqa: BLE001 - the container answers any exception with 500
        status, content, answered = 500, f"{type(error).__name__}: {error}".encode(), "text/plain"
    return {
        "status": status,
        "content_type": answered,
        "base64": base64.b64encode(content).decode(),
        "milliseconds": (time.perf_counter() - begun) * 1000,
    }


def _parts(result: Any) -> tuple[int, bytes, str]:
    """Status, content and type of a response, of (body, mimetype), or of a text."""
    if hasattr(result, "get_data"):
        return result.status_code, result.get_data(), result.content_type or ""
    body, kind = (result[0], result[1]) if isinstance(result, tuple) else (result, "text/html")
    return 200, body.encode() if isinstance(body, str) else bytes(body), kind


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
