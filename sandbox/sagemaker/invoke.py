"""InvokeEndpoint: what the front of an endpoint does around one request to a container.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

import json
import time
from typing import Any

from sandbox.sagemaker.capture import Capture, Exchange
from sandbox.sagemaker.containers import ServerContainer
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.endpoints import Endpoints
from sandbox.sagemaker.live import LiveEndpoint
from sandbox.sagemaker.metrics import InvocationMetrics
from sandbox.sagemaker.routing import Variant

MAX_BODY_BYTES = 6_291_456  # botocore's model of InvokeEndpoint: BodyBlob, max
# "Amazon SageMaker strips all POST headers except those supported by the API" (API_runtime_InvokeEndpoint).
_FORWARDED = (
    "Content-Type",
    "Accept",
    "X-Amzn-SageMaker-Custom-Attributes",
    "X-Amzn-SageMaker-Inference-Id",
    "X-Amzn-SageMaker-Target-Model",
    "X-Amzn-SageMaker-Session-Id",
)
_CUSTOM = "x-amzn-sagemaker-custom-attributes"
_OK = range(200, 300)
_PICKS = 3

Answer = tuple[int, dict[str, str], bytes]


class Invoker:
    """Routes requests to containers, counts them, captures them."""

    def __init__(
        self, context: Context, endpoints: Endpoints, metrics: InvocationMetrics, capture: Capture
    ) -> None:
        self._context = context
        self._endpoints = endpoints
        self._metrics = metrics
        self._capture = capture

    def invoke(self, name: str, body: bytes, headers: dict[str, str]) -> Answer:
        """One invocation; every outcome is an answer, errors included."""
        arrived = time.perf_counter()
        if len(body) > MAX_BODY_BYTES:
            # The front refuses it before the endpoint sees it, in plain text, which SDKs show as an error
            # "413".
            text = f"HTTP content length exceeded {MAX_BODY_BYTES} bytes."
            return 413, {"Content-Type": "text/plain"}, text.encode()
        live = self._endpoints.live(name)
        serving = live.router.current() if live else []
        if live is None or not serving:
            account = self._context.platform.account_id
            # [AWS], also for an endpoint that is not in service yet.
            return _error(
                400,
                "ValidationError",
                f"Endpoint {name} of account {account} not found.",
                ErrorCode="NO_SUCH_ENDPOINT",
            )
        sent = {key.lower(): value for key, value in headers.items()}
        target = sent.get("x-amzn-sagemaker-target-variant")
        variant = live.router.pick(target)
        if variant is None:
            names = ", ".join(v.name for v in serving)
            return _error(
                400, "ValidationError", f"Variant {target} was not found for endpoint {name}; it has {names}."
            )
        for _ in range(_PICKS):
            answer = self._ask(live, variant, body, sent, arrived)
            if answer is not None:
                return answer
            # The fleet was retired since it was chosen: the next choice falls on its successor.
            variant = live.router.pick(target) or variant
        return _error(503, "ServiceUnavailable", f"No healthy instance of {variant.name} at the moment.")

    def _ask(
        self, live: LiveEndpoint, variant: Variant, body: bytes, sent: dict[str, str], arrived: float
    ) -> Answer | None:
        """Send the request to a server of the variant; None when it has none that is ready."""
        forwarded = {key: sent[key.lower()] for key in _FORWARDED if key.lower() in sent}
        at = self._context.clock.now()
        asked = time.perf_counter()
        with variant.fleet.lease() as container:
            if container is None:
                return None
            status, answered, result = self._request(container, body, forwarded)
        done = time.perf_counter()
        self._metrics.record(
            live.name,
            variant.name,
            status=status,
            model_microseconds=(done - asked) * 1e6,
            overhead_microseconds=(asked - arrived) * 1e6,
            instances=variant.fleet.size,
        )
        if status not in _OK:
            return self._model_error(live.name, status, result)
        kept = {key.lower(): value for key, value in answered.items()}
        content_type = kept.get("content-type", "application/octet-stream")
        exchange = Exchange(
            request=body,
            request_type=sent.get("content-type", ""),
            response=result,
            response_type=content_type,
            at=at,
            inference_id=sent.get("x-amzn-sagemaker-inference-id"),
            custom_attributes=sent.get(_CUSTOM),
        )
        self._capture.add(live.capture, live.name, variant.name, variant.fleet.served.role_arn, exchange)
        shown = {"Content-Type": content_type, "x-Amzn-Invoked-Production-Variant": variant.name}
        if _CUSTOM in kept:
            shown["X-Amzn-SageMaker-Custom-Attributes"] = kept[_CUSTOM]
        return 200, shown, result

    def _request(
        self, container: ServerContainer, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask the container; 0 stands for no answer, with AWS's words for why."""
        try:
            status, answered, result = container.request(
                "POST", "/invocations", body, headers, self._context.settings.invoke_timeout_seconds
            )
        except TimeoutError:
            text = (
                "Your invocation timed out while waiting for a response from container primary. Review "
                "the latency "
                "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
            )
            return 0, {}, text.encode()
        except OSError:
            return 0, {}, b"An error occurred while handling request as the model process exited."
        if status in _OK and len(result) > MAX_BODY_BYTES:
            text = f"The response of {len(result)} bytes exceeds the limit of {MAX_BODY_BYTES} bytes."
            return 0, {}, text.encode()
        return status, answered, result

    def _model_error(self, endpoint: str, status: int, body: bytes) -> Answer:
        """[AWS] a container's error as ModelError 424, in the words that clients and logs show."""
        platform = self._context.platform
        region, group = platform.region, f"/aws/sagemaker/Endpoints/{endpoint}"
        text = body.decode("utf-8", errors="replace")
        kind = "client" if 400 <= status < 500 else "server"
        message = (
            f'Received {kind} error ({status}) from primary with message "{text}". See '
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
            f"#logEventViewer:group={group} in account {platform.account_id} for more information."
        )
        return _error(
            424,
            "ModelError",
            message,
            ErrorCode="CLIENT_ERROR_FROM_MODEL" if kind == "client" else "INTERNAL_FAILURE_FROM_MODEL",
            OriginalStatusCode=status,
            OriginalMessage=text,
            LogStreamArn=f"arn:aws:logs:{region}:{platform.account_id}:log-group:{group}",
        )


def _error(status: int, code: str, message: str, **members: Any) -> Answer:
    body = {**members, "Message": message}
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return status, headers, json.dumps(body).encode()
