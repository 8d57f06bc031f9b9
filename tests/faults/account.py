"""An AWS account in memory behind real boto3 clients: they check and serialize each call, then ask us.

Nothing is sent. What botocore does between a call and the wire is kept: parameter validation, paginators,
exceptions, and the number of attempts the client is configured with.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import ReadTimeoutError

from tests.faults.lanes import Killed, Lane

ACCOUNT, REGION = "123456789012", "us-east-1"
CALL_SECONDS = 0.02
_MARK = "_upkeep_faults"
_ALL_CHECKED = 30
_seen: Counter[tuple[str, ...]] = Counter()


class RefusedError(Exception):
    """An answer of a service that is an error."""

    def __init__(self, code: str, status: int = 400, message: str = "", **more: Any) -> None:
        super().__init__(f"{code} {message}")
        self.code, self.status, self.message, self.more = code, status, message or code, more


class Service(Protocol):
    """One service of the account."""

    def perform(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a call."""


class Fates(Protocol):
    """Decides what happens to a call."""

    def of(self, call: Call, attempt: int, now: float) -> str:
        """One of: "", "throttle", "outage", "lose", "kill before", "kill after", "hang"."""


class Clock:
    """Virtual time, in seconds since 1970."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Call:
    """One call as the history has it.

    Attributes:
        at: When, in virtual seconds.
        by: The function that made it; empty for the world itself.
        number: Which call of that function's it is, from 1.
        service: Such as ``s3``.
        operation: Such as ``PutObject``.
        params: What was asked.
        what: What it is about: a key, an item, a queue, an execution.
    """

    at: float
    by: str
    number: int
    service: str
    operation: str
    params: Mapping[str, Any] = field(repr=False)
    what: str = ""


@dataclass
class Done:
    """A call with what came of it: "" or an error's code, or "killed", and how many attempts it took."""

    call: Call
    outcome: str
    attempts: int


class Account:
    """The services, the history of all calls, and the place where faults strike.

    Attributes:
        history: All calls the functions made.
        attempts: How many requests these were, repeated ones included.
        unknown: Calls that no service here knows; a test with one of them is void.
    """

    def __init__(self, clock: Clock, services: Mapping[str, Service]) -> None:
        self.clock = clock
        self.services = dict(services)
        self.history: list[Done] = []
        self.attempts = 0
        self.unknown: list[str] = []
        self.lane: Lane | None = None
        self.fates: Fates | None = None
        self.switch: Callable[[Call], bool] = lambda call: False
        self.backoff: Callable[[int], float] = lambda attempt: min(2.0**attempt, 20.0)
        self._lock = threading.RLock()

    def call(self, service: str, operation: str, params: Mapping[str, Any], attempts: int) -> dict[str, Any]:
        """Carry out a call with the faults that strike it, repeating it as botocore would.

        Raises:
            RefusedError: The service's last answer was an error.
            Killed: The function that called is gone.
        """
        lane = self.lane
        if "Body" in params and hasattr(params["Body"], "read"):
            params = {**params, "Body": params["Body"].read()}
        if lane is None:
            with self._lock:
                return self.services[service].perform(operation, params)
        own = threading.current_thread() is lane.thread
        with self._lock:
            lane.calls += 1
            call = Call(
                self.clock.now, lane.name, lane.calls, service, operation, params, _about(service, params)
            )
        if own and self.switch(call):
            lane.pause(self.clock.now)
        return self._attempt(lane, call, max(attempts, 1), own=own)

    def _attempt(self, lane: Lane, call: Call, attempts: int, *, own: bool) -> dict[str, Any]:
        error: Exception = RefusedError("InternalError", 500)
        for attempt in range(1, attempts + 1):
            if attempt > 1:
                self._wait(lane, self.backoff(attempt - 1), own=own)
            fate = self.fates.of(call, attempt, self.clock.now) if self.fates else ""
            if fate == "hang":
                self._wait(lane, lane.deadline - self.clock.now, own=own)
            with self._lock:
                self.attempts += 1
                self.clock.now += CALL_SECONDS
                if fate == "kill before" or self.clock.now > lane.deadline:
                    raise self._killed(call, attempt)
                if fate == "throttle":
                    error = _slow_down(call.service)
                    continue
                if fate == "outage":
                    error = _unavailable(call.service)
                    continue
                try:
                    answer, refused = self._perform(call), None
                except RefusedError as raised:
                    answer, refused = {}, raised
                if fate == "kill after":
                    raise self._killed(call, attempt)
                if fate == "lose":
                    error = ReadTimeoutError(endpoint_url=call.service)
                    continue
                self.history.append(Done(call, refused.code if refused else "", attempt))
                if refused:
                    raise refused
                return answer
        self.history.append(Done(call, getattr(error, "code", "ReadTimeout"), attempts))
        raise error

    def _perform(self, call: Call) -> dict[str, Any]:
        try:
            return self.services[call.service].perform(call.operation, call.params)
        except NotImplementedError as error:
            self.unknown.append(f"{call.service} {call.operation}: {error}")
            raise

    def _wait(self, lane: Lane, seconds: float, *, own: bool) -> None:
        """Let virtual time pass for the one that calls."""
        if not seconds:
            return
        if own:
            lane.pause(min(self.clock.now + seconds, lane.deadline + CALL_SECONDS))
        else:
            self.clock.now += seconds
        if self.clock.now > lane.deadline:
            raise Killed(f"{lane.name}: the time is up")

    def _killed(self, call: Call, attempt: int) -> Killed:
        self.history.append(Done(call, "killed", attempt))
        return Killed(f"{call.by} at its call {call.number}, {call.operation} {call.what}")


_account: Account | None = None


def enter(account: Account | None) -> None:
    """Make this the account that all clients of ours talk to; None for none."""
    global _account
    _account = account


def attach(client: Any) -> Any:
    """Let a boto3 client talk to the account that was entered; without one it works as ever.

    Of what botocore does in a call everything up to the serialized request is kept, and how it raises errors;
    what concerns endpoints, signatures and connections is left out: it takes most of the time.
    """
    if hasattr(client, _MARK):
        return client
    service = client.meta.service_model.service_name
    # boto3 writes total_max_attempts down as the number of repetitions beyond the first.
    retries = client.meta.config.retries or {}
    attempts = int(retries.get("total_max_attempts") or retries.get("max_attempts", 4) + 1)

    def make(operation_name: str, api_params: Mapping[str, Any]) -> Any:
        account = _account
        if account is None:
            return type(client)._make_api_call(client, operation_name, api_params)
        model = client.meta.service_model.operation_model(operation_name)
        context = {
            "client_region": REGION,
            "client_config": client.meta.config,
            "has_streaming_input": model.has_streaming_input,
            "auth_type": model.resolved_auth_type,
            "unsigned_payload": model.unsigned_payload,
            "auth_options": None,
        }
        params = client._emit_api_params(api_params=dict(api_params), operation_model=model, context=context)
        # Calls that look alike are alike: after the first ones every tenth is checked, which saves a quarter.
        _seen[shape := (service, operation_name, *sorted(params))] += 1
        if _seen[shape] <= _ALL_CHECKED or _seen[shape] % 10 == 0:
            client._serializer.serialize_to_request(params, model)
        try:
            found = account.call(service, operation_name, params, attempts)
        except RefusedError as refused:
            error = {"Code": refused.code, "Message": refused.message}
            answer = {"Error": error, "ResponseMetadata": _metadata(refused.status)} | refused.more
            raise client.exceptions.from_code(refused.code)(answer, operation_name) from None
        return {"ResponseMetadata": _metadata(200)} | found

    client._make_api_call = make
    setattr(client, _MARK, True)
    return client


def detach(client: Any) -> None:
    """Give a client back as it was: others share it, and have hooks of their own."""
    if hasattr(client, _MARK):
        delattr(client, "_make_api_call")
        delattr(client, _MARK)


def _metadata(status: int) -> dict[str, Any]:
    return {"HTTPStatusCode": status, "HTTPHeaders": {}, "RequestId": "0", "RetryAttempts": 0}


def _slow_down(service: str) -> RefusedError:
    if service == "s3":
        return RefusedError("SlowDown", 503, "Please reduce your request rate.")
    return RefusedError("ThrottlingException", 400, "Rate exceeded")


def _unavailable(service: str) -> RefusedError:
    return RefusedError(
        "ServiceUnavailable" if service == "s3" else "InternalServerError", 503, "Try again later"
    )


def _about(service: str, params: Mapping[str, Any]) -> str:
    if service == "dynamodb":
        item = params.get("Key") or params.get("Item") or params.get("ExpressionAttributeValues") or {}
        return " ".join(
            str(next(iter(value.values()))) for name, value in item.items() if name in ("pk", "sk")
        )
    for name in ("Key", "Prefix", "QueueUrl", "TopicArn", "name", "executionArn", "TrainingJobName"):
        if name in params:
            return str(params[name])
    return ""
