"""Sessions and outputs of a stack: the sandbox's for stack `sandbox`, the ordinary AWS chain for others."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sandbox import lifecycle
from upkeep import outputs as stack_outputs
from upkeep.errors import UpkeepError
from upkeep.outputs import ModelOutputs, StackOutputs

if TYPE_CHECKING:
    import boto3

SANDBOX = "sandbox"
STACK_VARIABLE = "UPKEEP_STACK"
PORT_VARIABLE = "UPKEEP_PORT"
ROOT = Path(__file__).resolve().parent.parent

_CONNECT_SECONDS = 5
_READ_SECONDS = 65  # longer than SageMaker's own limit for one answer, 60 s
_OUTPUT_SECONDS = 120
_LOCAL_POLL_SECONDS = 0.4
_REMOTE_POLL_SECONDS = 4.0


@dataclass(frozen=True)
class Context:
    """A stack one can talk to.

    Attributes:
        stack: Name of the stack.
        session: boto3 session whose clients reach it.
        outputs: What the deployment exported.
        endpoint_url: Where AWS answers, when that is not AWS itself.
    """

    stack: str
    session: boto3.Session
    outputs: StackOutputs
    endpoint_url: str | None = None
    _clients: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def region(self) -> str:
        """The stack's region."""
        return self.outputs.region

    @property
    def poll_seconds(self) -> float:
        """How often to look again while waiting: often on this machine, gently on AWS."""
        return _LOCAL_POLL_SECONDS if is_local(self.endpoint_url) else _REMOTE_POLL_SECONDS

    def client(self, service: str) -> Any:
        """A client with bounded waiting and retries; one per service."""
        if service not in self._clients:
            self._clients[service] = client(self.session, service, self.region)
        return self._clients[service]

    def model(self, name: str | None) -> ModelOutputs:
        """The named model, or the only one; see `StackOutputs.model`."""
        return self.outputs.model(name)


def load(stack: str | None = None, port: int | None = None) -> Context:
    """The context of a stack.

    Args:
        stack: Name; by default the variable UPKEEP_STACK, else `sandbox`.
        port: Port of the sandbox; by default what AWS_ENDPOINT_URL or UPKEEP_PORT says, else 4566, else the
            port of the only sandbox that runs. Ignored for other stacks.

    Raises:
        UpkeepError: No sandbox runs, or the stack is not deployed.
    """
    name = stack_name(stack)
    if not is_sandbox(name):
        outputs = stack_outputs.parse(_pulumi_outputs(name), name)
        return Context(name, aws_session(outputs.region), outputs, os.environ.get("AWS_ENDPOINT_URL"))
    info = find_sandbox(port)
    outputs = stack_outputs.parse(stack_outputs.from_checkpoint(checkpoint(info, name)), name)
    return Context(name, sandbox_session(info), outputs, info.url)


def stack_name(stack: str | None) -> str:
    """The stack asked for, else that of the environment, else the sandbox's."""
    return stack or os.environ.get(STACK_VARIABLE) or SANDBOX


def is_sandbox(stack: str) -> bool:
    """Whether a stack lives in the sandbox: `sandbox` and those named `sandbox-...`."""
    return stack == SANDBOX or stack.startswith(f"{SANDBOX}-")


def checkpoint(info: lifecycle.SandboxInfo, stack: str = SANDBOX) -> Path:
    """Where the deployer keeps what it knows of a stack in a sandbox.

    Apart from the sandbox's own files: its record is called sandbox.json, as the checkpoint would be.
    """
    return info.run_dir / "stacks" / f"{stack}.json"


def find_sandbox(port: int | None = None) -> lifecycle.SandboxInfo:
    """The running sandbox that is meant.

    Raises:
        UpkeepError: None runs there, or several do and none is named.
    """
    wanted = port or _port_of_environment()
    if wanted is not None:
        info = lifecycle.find(wanted)
        if info is None:
            raise UpkeepError(
                f"No sandbox runs on port {wanted}. Start it with `upkeep sandbox --port {wanted}`."
            )
        return info
    if (info := lifecycle.find(lifecycle.DEFAULT_PORT)) is not None:
        return info
    others = [found for found in map(lifecycle.find, _used_ports()) if found is not None]
    if len(others) == 1:
        return others[0]
    if others:
        ports = ", ".join(str(other.port) for other in others)
        raise UpkeepError(f"Sandboxes run on ports {ports}; say which with --port, or once with UPKEEP_PORT.")
    raise UpkeepError(
        "No sandbox is running. Start one with `upkeep sandbox` and deploy to it with `upkeep up`, see the "
        "whole loop with `upkeep demo`, or name another stack with --stack."
    )


def sandbox_session(info: lifecycle.SandboxInfo) -> boto3.Session:
    """A session whose clients reach a sandbox, whatever the person's own AWS setup is."""
    environment = lifecycle.environment(info)
    session: boto3.Session = _session_class()(
        environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    return session


def aws_session(region: str | None) -> boto3.Session:
    """A session of the ordinary AWS chain (profile, variables, role)."""
    import boto3

    return boto3.Session(region_name=region)


def client(session: boto3.Session, service: str, region: str | None = None) -> Any:
    """A client with bounded waiting and retries."""
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"total_max_attempts": 5, "mode": "standard"},
        s3={"addressing_style": "path"} if getattr(session, "upkeep_endpoint_url", None) else {},
    )
    return session.client(service, region_name=region, config=config)  # type: ignore[call-overload]


def is_local(endpoint_url: str | None) -> bool:
    """Whether an endpoint is on this machine."""
    return urlsplit(endpoint_url or "").hostname in ("127.0.0.1", "localhost", "::1")


def _session_class() -> Any:
    import boto3

    class _EndpointSession(boto3.Session):
        """A session that sends every call to one address: boto3 takes that per client only."""

        def __init__(self, endpoint_url: str, **kwargs: Any) -> None:
            self.upkeep_endpoint_url = endpoint_url
            super().__init__(**kwargs)

        def client(self, *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("endpoint_url") is None:
                kwargs["endpoint_url"] = self.upkeep_endpoint_url
            return super().client(*args, **kwargs)

    return _EndpointSession


def _port_of_environment() -> int | None:
    if text := os.environ.get(PORT_VARIABLE):
        if not text.isdigit():
            raise UpkeepError(f"{PORT_VARIABLE}: found {text!r}, expected a port number.")
        return int(text)
    url = os.environ.get("AWS_ENDPOINT_URL")
    if not url:
        return None
    if not is_local(url):
        raise UpkeepError(
            f"AWS_ENDPOINT_URL is {url}, which is not on this machine, but stack {SANDBOX!r} is. "
            "Unset it, or name the stack with --stack."
        )
    return urlsplit(url).port


def _used_ports() -> list[int]:
    above = lifecycle.run_dir(lifecycle.DEFAULT_PORT).parent
    return sorted(int(entry.name) for entry in above.glob("*") if entry.name.isdigit())


def _pulumi_outputs(stack: str) -> dict[str, Any]:
    """The outputs of a stack as `pulumi` tells them.

    Raises:
        UpkeepError: `pulumi` is not there, does not know the stack, or did not answer in time.
    """
    command = [
        "pulumi",
        "stack",
        "output",
        "--json",
        "--stack",
        stack,
        "--cwd",
        str(ROOT),
        "--non-interactive",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_OUTPUT_SECONDS, check=False)
    except FileNotFoundError as error:
        raise UpkeepError(
            f"Stack {stack!r} is Pulumi's, and `pulumi` is not on PATH. Install it "
            "(https://www.pulumi.com/docs/install/), or use the sandbox by leaving --stack out."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise UpkeepError(f"`{' '.join(command)}` did not answer within {_OUTPUT_SECONDS} s.") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise UpkeepError(f"Pulumi cannot tell the outputs of stack {stack!r}: {said}")
    loaded: dict[str, Any] = json.loads(done.stdout or "{}")
    return loaded
