"""AWS as the provider reaches it: clients, identity, errors, waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.deployer.interface import ProviderError, Subject

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 60
# What AWS needs until a new role or policy is seen everywhere; the sandbox needs none of it.
PROPAGATION_SECONDS = 10.0
_POLL_SECONDS = 0.2

T = TypeVar("T")


class Aws:
    """Clients of one account and region."""

    def __init__(self, session: boto3.Session, region: str, endpoint_url: str | None) -> None:
        self.region = region
        self._session = session
        self._endpoint_url = endpoint_url
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._identity: dict[str, str] | None = None

    def client(self, service: str) -> Any:
        """Return the client of a service, made once."""
        with self._lock:
            if service not in self._clients:
                make_client: Any = self._session.client  # boto3-stubs knows literal service names only
                self._clients[service] = make_client(
                    service,
                    region_name=self.region,
                    endpoint_url=self._endpoint_url,
                    config=Config(
                        connect_timeout=CONNECT_TIMEOUT_SECONDS,
                        read_timeout=READ_TIMEOUT_SECONDS,
                        retries={"mode": "standard", "max_attempts": 4},
                        max_pool_connections=32,
                        s3={"addressing_style": "path"} if self._endpoint_url else None,
                    ),
                )
            return self._clients[service]

    def identity(self) -> dict[str, str]:
        """Return account, ARN and user id of the caller."""
        if self._identity is None:
            answer = self.client("sts").get_caller_identity()
            self._identity = {"account": answer["Account"], "arn": answer["Arn"], "user": answer["UserId"]}
        return self._identity

    @property
    def account(self) -> str:
        """The account's number."""
        return self.identity()["account"]

    @property
    def partition(self) -> str:
        """The partition the region belongs to."""
        found: str = self._session.get_partition_for_region(self.region)
        return found

    @property
    def dns_suffix(self) -> str:
        """The domain of the partition's endpoints."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


@dataclass
class Call:
    """One operation on one resource: its clients, its tags, and the id once the resource exists."""

    aws: Aws
    subject: Subject
    tags: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    timeout_seconds: float | None = None

    def client(self, service: str) -> Any:
        """Return the client of a service."""
        return self.aws.client(service)

    def created(self, id_: str) -> str:
        """Note that the resource exists from here on; a later failure keeps it in the checkpoint."""
        self.id = id_
        return id_

    def seconds(self, default: float) -> float:
        """Return how long to wait: the resource's custom timeout or the type's default."""
        return self.timeout_seconds or default

    def tag_list(self) -> list[dict[str, str]]:
        """Return the tags as most services take them."""
        return [{"Key": key, "Value": value} for key, value in sorted(self.tags.items())]


def code_of(error: Exception) -> str:
    """Return the error code of an AWS answer, or an empty text."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def describe(error: Exception) -> str:
    """Return an AWS error as code, message and operation."""
    if isinstance(error, ClientError):
        detail = error.response.get("Error", {})
        return f"{error.operation_name}: {detail.get('Code', '')}: {detail.get('Message', '')}"
    return f"{type(error).__name__}: {error}"


def found(call: Callable[[], T], *missing: str, message: str = "") -> T | None:
    """Return what a call answers, or None when AWS says that the thing does not exist.

    `message` also has to be part of the error text, where a code alone does not say so.
    """
    try:
        return call()
    except ClientError as error:
        if code_of(error) in missing and message.lower() in str(error).lower():
            return None
        raise


def gone(call: Callable[[], Any], *missing: str, message: str = "") -> None:
    """Run a deletion; that the thing is gone already is no error."""
    found(call, *missing, message=message)


def retried(call: Callable[[], T], *codes: str, message: str = "", seconds: float = PROPAGATION_SECONDS) -> T:
    """Repeat a call while AWS answers with one of the codes, for a bounded time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except ClientError as error:
            matching = code_of(error) in codes and message.lower() in str(error).lower()
            if not matching or time.monotonic() >= deadline:
                raise
        time.sleep(_POLL_SECONDS * 2)


def wait_until(check: Callable[[], T | None], seconds: float, what: str) -> T:
    """Ask again until `check` returns something; the pause grows to one second.

    Raises:
        ProviderError: nothing came within `seconds`.
    """
    deadline = time.monotonic() + seconds
    pause = _POLL_SECONDS
    while True:
        result = check()
        if result is not None:
            return result
        if time.monotonic() + pause > deadline:
            raise ProviderError(f"{what} took longer than {seconds:.0f} s")
        time.sleep(pause)
        pause = min(pause * 1.3, 1.0)
