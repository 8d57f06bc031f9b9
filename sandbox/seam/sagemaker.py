"""SageMaker as a service of MiniStack's."""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from sandbox import calls
from sandbox.sagemaker.errors import ApiError
from sandbox.seam.internals import ministack

Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, list[str]]], Awaitable[Answer]]

_ENDPOINT_PATH = re.compile(r"/endpoints/([^/]+)/invocations")


class SageMakerHandler:
    """SageMaker's control plane and runtime, as a MiniStack service."""

    def __init__(self, service: Any) -> None:
        self._service = service

    async def __call__(
        self, _method: str, path: str, headers: dict[str, str], body: bytes, _query: dict[str, list[str]]
    ) -> Answer:
        """Answer one request."""
        endpoint = _ENDPOINT_PATH.fullmatch(path)
        try:
            if endpoint:
                status, answered, content = await self._service.invoke_endpoint(
                    endpoint[1], body, dict(headers)
                )
                # MiniStack gives answers the content type of the control plane, where it finds the
                # header spelt `Content-Type`; what a container answers is not its to correct.
                return status, {name.lower(): value for name, value in answered.items()}, content
            call = calls.current.get()
            operation = call.operation if call else headers.get("x-amz-target", "").rpartition(".")[2]
            answer = await self._service.handle(operation, call.params if call else {})
        except ApiError as error:
            return error_answer(error.code, error.message, error.status)
        return (
            200,
            {"Content-Type": "application/x-amz-json-1.1"},
            json.dumps(answer, default=epoch_seconds).encode(),
        )


def error_answer(code: str, message: str, status: int = 400) -> Answer:
    """An error in the JSON protocols."""
    content = json.dumps({"__type": code, "message": message, "Message": message}).encode()
    return status, {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}, content


def epoch_seconds(value: Any) -> float:
    """Times in JSON answers are epoch seconds."""
    return float(value.timestamp())


def route_sagemaker() -> None:
    """Make MiniStack route and authorise SageMaker; its runtime signs as the same service."""
    ministack("core.router").SERVICE_PATTERNS["sagemaker"] = {
        "target_prefixes": ["SageMaker."],
        "host_patterns": [r"sagemaker\.", r"runtime\.sagemaker\."],
    }
    actions = ministack("core.iam_actions")
    actions.SERVICE_TO_IAM_NAMESPACE["sagemaker"] = "sagemaker"
    actions._BOTOCORE_SERVICE_MAP["sagemaker"] = ["sagemaker-runtime"]
